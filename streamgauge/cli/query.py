"""`streamgauge query SQL`: one question to ClickHouse, as an analyst."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from streamgauge.cli.options import Json, examples, settings_of


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "query",
        rich_help_panel=panel,
        epilog=examples(
            'streamgauge query "SELECT team_id, sum(cost_usd) FROM usage_events GROUP BY team_id"',
            "streamgauge query --file monthly.sql --csv > monthly.csv",
        ),
    )(command)


def command(
    context: typer.Context,
    sql: Annotated[str | None, typer.Argument(help="The question; or take it from --file.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read the SQL from a file; - is standard input.", show_default=False)
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values with a header.")] = False,
    json: Json = False,
) -> None:
    """Ask ClickHouse one question in SQL, read-only.

    `SHOW TABLES` lists what there is and `DESCRIBE TABLE usage_events` its columns; docs/analysts.md has questions.
    """
    if (sql is None) == (file is None):
        raise typer.BadParameter("give the SQL either as an argument or with --file")
    if file is not None:
        sql = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    from streamgauge.asking import ask
    from streamgauge.cli.output import cell, emit_json, fits, print_records, print_table

    answer = ask(settings_of(context), str(sql))
    if json:
        emit_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    elif csv:
        import csv as csv_module

        writer = csv_module.writer(sys.stdout)
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    elif not answer.rows:
        typer.echo(f"No rows. Columns: {', '.join(answer.columns)}")
    elif not fits(answer.columns, [[cell(value) for value in row] for row in answer.rows]):
        print_records(answer.columns, [[cell(value) for value in row] for row in answer.rows])
    else:
        numbers = [_all_numbers([row[place] for row in answer.rows]) for place in range(len(answer.columns))]
        print_table(
            [(name, "right" if is_number else "left") for name, is_number in zip(answer.columns, numbers, strict=True)],
            [[cell(value) for value in row] for row in answer.rows],
        )


def _all_numbers(values: list[Any]) -> bool:
    from decimal import Decimal

    return bool(values) and all(value is None or isinstance(value, int | float | Decimal) for value in values)
