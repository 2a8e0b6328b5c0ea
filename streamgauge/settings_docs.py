"""In: the settings as code. Out: `docs/settings.md`: every setting with its variable, type, default and meaning.

`python -m streamgauge.settings_docs` writes it; a test fails while it is not current.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from streamgauge.settings import Settings
from streamgauge.settings.unknown import is_secret, variable_name, walk_settings

PAGE: Final = Path(__file__).parent.parent / "docs" / "settings.md"

_HEAD: Final = """\
<!-- Made by `python -m streamgauge.settings_docs` from streamgauge/settings/sections.py: edit there. -->

# Settings

Every setting can be given as an environment variable, and every one but secrets in a TOML file: `streamgauge.toml` in
the working directory, the file that `STREAMGAUGE_CONFIG` names, or `streamgauge --config FILE …`. The environment wins.

```toml
[kafka]
bootstrap = "kafka-1:9093,kafka-2:9093"

[kafka.tls]
enabled = true
ca_file = "/etc/streamgauge/ca.pem"

[kafka.sasl]
mechanism = "SCRAM-SHA-512"
username = "streamgauge-enrich"      # the password: STREAMGAUGE_KAFKA__SASL__PASSWORD
```

Secrets are taken from the environment alone, because files are copied, committed and mailed. A setting that does not
exist, or that has a wrong value, stops the process at start with a sentence that names it.

Where neither the environment nor the file says where Kafka is, commands look for a running `streamgauge up` in
`local.data_dir` and use its addresses, partition counts and user key. `streamgauge doctor` shows what is in use.

## Kafka with TLS and a login

Both of our Kafka clients (librdkafka for the data plane, the sink and the commands; aiokafka under the agents) take the
`kafka.tls` and `kafka.sasl` settings below. Certificates are PEM files. Without `ca_file` the system's trust roots
are used; `cert_file` and `key_file` together make it mutual TLS.
"""


def render() -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        parts.append(f"## [{name}]\n\n{field.description}\n")
        parts.append("| setting | variable | type | default | meaning |\n|---|---|---|---|---|")
        parts.extend(_row((name, *path), inner) for path, inner in walk_settings(section))
        parts.append("")
    return "\n".join(parts)


def _row(path: tuple[str, ...], field: FieldInfo) -> str:
    secret = is_secret(field)
    setting = f"`{'.'.join(path)}`" if not secret else f"`{'.'.join(path)}` (secret)"
    default = "" if field.default is None else f"`{_plain(field.default)}`"
    return f"| {setting} | `{variable_name(path)}` | {_type(field.annotation)} | {default} | {field.description} |"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value) or '""'


def _type(annotation: Any) -> str:
    """In words for people who write TOML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in arguments)
    if origin in (Union, types.UnionType):
        return _type(next(one for one in arguments if one is not type(None)))
    if origin is tuple:
        return "list"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", SecretStr: "text"}
    return names.get(annotation, "decimal number")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")
