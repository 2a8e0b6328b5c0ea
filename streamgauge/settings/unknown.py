"""In: names of settings as people wrote them. Out: nothing, or one sentence: misspelt (with what was meant) or a secret
in a file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

PREFIX: Final = "STREAMGAUGE_"
#: Variables of ours that are not settings: where the file is, and what the tests take.
_NOT_SETTINGS: Final = ("STREAMGAUGE_CONFIG",)
_TEST_PREFIX: Final = "STREAMGAUGE_TEST_"


class SettingsError(ValueError):
    """A setting is wrong; the message says which, where it stands and what to do."""


def walk_settings(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every setting as (path, field), sections resolved, in the order in which they are defined."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from walk_settings(inner, (*above, name))
        else:
            yield (*above, name), field


def is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


def variable_name(path: tuple[str, ...]) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(path).upper()


def check_environment(model: type[BaseModel], variables: Mapping[str, str]) -> None:
    """Refuse a variable with our prefix that is no setting."""
    known = [variable_name(path) for path, _ in walk_settings(model)]
    sections = {name.rpartition("__")[0] for name in known}
    for name in sorted(variables):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in _NOT_SETTINGS or upper.startswith(_TEST_PREFIX):
            continue
        if upper in sections:
            first = next(one for one in known if one.startswith(f"{upper}__"))
            raise SettingsError(
                f"the environment variable {name} is a section: set its settings one by one, such as {first}"
            )
        if upper not in known:
            raise SettingsError(f"the environment variable {name} is not a setting{_meant(upper, known)}")


def check_file(model: type[BaseModel], file: Path, values: Mapping[str, Any]) -> None:
    """Refuse a key that is no setting, and a secret: files are copied, committed and mailed."""
    fields = {".".join(path): field for path, field in walk_settings(model)}
    sections = {key.rsplit(".", depth)[0] for key in fields for depth in range(1, key.count(".") + 1)}
    for key, value in _keys(values):
        if key in sections:
            if not isinstance(value, dict):
                raise SettingsError(f"{key} in {file} is {value!r}, but it is a section: write it as [{key}]")
            continue
        if key not in fields:
            raise SettingsError(f"{key} in {file} is not a setting{_meant(key, [*fields, *sections])}")
        if is_secret(fields[key]):
            variable = variable_name(tuple(key.split(".")))
            raise SettingsError(
                f"{key} in {file} is a secret, and secrets are taken from the environment alone: "
                f"delete the line and set {variable}"
            )


def _keys(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = f"{above}{name}"
        yield key, value
        if isinstance(value, dict):
            yield from _keys(value, f"{key}.")


def _meant(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "; see docs/settings.md for all of them"
