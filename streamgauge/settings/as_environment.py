"""In: settings. Out: some sections of them as environment variables, for a child process."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from streamgauge.settings.loading import Settings
from streamgauge.settings.unknown import variable_name, walk_settings


def as_environment(settings: Settings, sections: Sequence[str]) -> dict[str, str]:
    """Variables for every setting of `sections` that has a value and is no secret."""
    variables: dict[str, str] = {}
    for path, _ in walk_settings(type(settings)):
        if path[0] not in sections:
            continue
        value: object = settings
        for step in path:
            value = getattr(value, step)
        if value is None or isinstance(value, SecretStr):
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if text:
            variables[variable_name(path)] = text
    return variables
