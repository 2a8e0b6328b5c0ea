"""In: rows. Out: a table where a person looks, plain JSON where a script does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import typer

Align = Literal["left", "right"]


def emit_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def emit_line(value: Any) -> None:
    """One JSON document on one line, at once: for `--follow`."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> str:
    return instant(value) if isinstance(value, datetime) else str(value)


def instant(value: datetime) -> str:
    """RFC 3339 in UTC. ClickHouse's client gives UTC columns without a zone."""
    return (
        (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))
        .isoformat()
        .replace("+00:00", "Z")
    )


def print_table(
    columns: Sequence[tuple[str, Align]],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    whole: Sequence[str] = (),
) -> None:
    """A table as wide as the terminal; without a terminal 100 columns. The columns named in `whole` are never
    broken.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    out = console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    for name, align in columns:
        table.add_column(name, justify=align, overflow="fold", no_wrap=name in whole)
    for row in rows:
        table.add_row(*row)
    if title is not None:
        # Above the table rather than its title, which would be as narrow as the table is.
        out.print(title, style="bold")
    out.print(table)


#: A column that is folded keeps at least so many characters, or its whole name.
_NARROWEST = 20


def fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table of these is readable at the console's width, with long values folded."""
    widest = [max([len(name), *(len(row[place]) for row in rows)]) for place, name in enumerate(columns)]
    least = [min(wide, max(_NARROWEST, len(name))) for wide, name in zip(widest, columns, strict=True)]
    return sum(least) + 3 * len(least) <= int(console().width)


def print_records(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """One line a value, for rows that are too wide for a table."""
    margin = max(len(name) for name in columns)
    for number, row in enumerate(rows, start=1):
        typer.echo(f"row {number}")
        for name, value in zip(columns, row, strict=True):
            typer.echo(f"  {name:<{margin}}  {value}")


def console() -> Any:
    """A console that does not cut lines short where there is no terminal."""
    import shutil

    from rich.console import Console

    plain = Console(highlight=False)
    return (
        plain
        if plain.is_terminal
        else Console(highlight=False, width=max(100, shutil.get_terminal_size((100, 24)).columns))
    )


def amount(value: int, unit: str) -> str:
    """A count in its unit, for people: nano-dollars as dollars with cents, counts with separators."""
    if unit == "nanousd":
        dollars, nano = divmod(abs(value), 1_000_000_000)
        return f"{'-' if value < 0 else ''}${dollars:,}.{nano // 10_000_000:02d}"
    return f"{value:,}"


def short_amount(value: int, unit: str) -> str:
    """The same within eight characters, for a table: cents only below $100, thousands and millions of counts
    in short.
    """
    if unit == "nanousd":
        return amount(value, unit) if abs(value) < 100_000_000_000 else f"${value / 1_000_000_000:,.0f}"
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:,.1f}M"
    return f"{value:,}"


def cell(value: Any) -> str:
    """One value of an answer: amounts without the zeros that their type adds, nothing for NULL."""
    if isinstance(value, Decimal):
        return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
    return "" if value is None else str(value)


def moment(value: datetime | None) -> str:
    """UTC to the minute."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def bar(share: float, width: int = 8) -> str:
    """A filled bar; beyond the whole it is full and ends in an arrow."""
    full = min(width, round(max(share, 0.0) * width))
    return "█" * full + "░" * (width - full) if share <= 1 else "█" * (width - 1) + "▶"
