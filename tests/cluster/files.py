"""In: the repository's cluster files. Out: them, parsed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
COMPOSE_FILE: Final = ROOT / "docker-compose.yml"
#: Services whose image is ours and that run for ever.
ROLES: Final = ("enrich", "agents", "sink")

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<required>:\?[^}]+)?\}")


def compose() -> dict[str, Any]:
    """The compose file with its anchors merged. Variables stay as they are written."""
    parsed = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    assert isinstance(parsed, dict)
    return parsed


def service(name: str) -> dict[str, Any]:
    found = compose()["services"][name]
    assert isinstance(found, dict)
    return found


def variables(text: str) -> dict[str, bool]:
    """Every `${NAME}` in a text, and whether it is required (`${NAME:?why}`)."""
    return {match["name"]: match["required"] is not None for match in _VARIABLE.finditer(text)}


def filled(environment: dict[str, str]) -> dict[str, str]:
    """A service's environment with a stand-in for each variable."""
    return {name: _VARIABLE.sub("stand-in-of-32-characters-0000000", value) for name, value in environment.items()}


def example_environment() -> set[str]:
    """Names in `.env.example`."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return {line.split("=")[0] for line in lines if line and not line.startswith("#")}
