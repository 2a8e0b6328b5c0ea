"""In: whatever a command raises. Out: one clear sentence on standard error and exit code 1 for what we know; a
traceback for bugs.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup


class Face(TyperGroup):
    """The top of the command tree: the one place where errors become words."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read our output, such as `head`, has enough.
            sys.stderr.close()
            raise typer.Exit(0) from None
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            typer.echo(f"streamgauge: {sentence}", err=True)
            raise typer.Exit(1) from None


def explain(error: Exception) -> str | None:
    """The sentence for an error that a person can do something about; None for a bug of ours."""
    from confluent_kafka import KafkaError, KafkaException

    if isinstance(error, KafkaException):
        cause = error.args[0]
        if cause.code() == KafkaError._INVALID_ARG:
            return f"the Kafka client does not take its settings: {cause.str()}"
        return f"Kafka refuses: {cause.str()} ({cause.name()})"
    name = type(error).__name__
    if error.__class__.__module__.startswith(
        ("streamgauge.", "sinks.", "sources.", "streams.", "runtime.", "schemas.")
    ):
        return str(error) or name
    if error.__class__.__module__.startswith("clickhouse_connect."):
        return f"ClickHouse: {_said_by_clickhouse(str(error))}"
    if isinstance(error, TimeoutError):
        return str(error) or "it took too long"
    if type(error) in (LookupError, RuntimeError, ConnectionError):
        # Raised by name of the plain class, so on purpose; a bug raises what is below them, such as KeyError.
        return str(error) or name
    if isinstance(error, PermissionError | FileNotFoundError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def _said_by_clickhouse(message: str) -> str:
    """ClickHouse's own sentence and the name of its code, without what the client wraps around it."""
    found = re.search(r"DB::Exception: (.*?)\.? \(([A-Z_0-9]+)\)(?: \(version|$)", message, re.DOTALL)
    return f"{found[1]} ({found[2]})" if found else message.strip()
