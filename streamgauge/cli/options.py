"""In: nothing. Out: the options that several commands share, and the settings that a command runs by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streamgauge.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of text for people.")]


def settings_of(context: typer.Context, *, use_local: bool = True) -> Settings:
    """The settings of this call: `--config`, environment, and a running `streamgauge up`."""
    from streamgauge.settings import load_settings

    return load_settings(context.find_root().obj, use_local=use_local)


def examples(*lines: str) -> str:
    """An epilog with one example a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  [dim]$[/dim] {line}" for line in lines)])
