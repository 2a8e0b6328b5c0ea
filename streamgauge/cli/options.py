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


def flowing_help(app: typer.Typer) -> None:
    """Take every command's help from its docstring with its paragraphs unwrapped: the terminal breaks lines, not we."""
    for command in app.registered_commands:
        if command.callback is not None and command.callback.__doc__:
            command.help = flowing(command.callback.__doc__)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            flowing_help(group.typer_instance)


def flowing(text: str) -> str:
    """Paragraphs of one line each."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")).strip()


def examples(*lines: str) -> str:
    """An epilog with one example a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  [dim]$[/dim] {line}" for line in lines)])
