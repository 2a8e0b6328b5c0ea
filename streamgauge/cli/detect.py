"""`streamgauge detect --csv FILE`: the detector's score of every row of a plain series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples

if TYPE_CHECKING:
    from streamgauge.cli.detect_reading import Series


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "detect",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge detect --csv latency.csv > scored.csv",
            "streamgauge detect --csv latency.csv --threshold 6 --json",
            "zcat latency.csv.gz | streamgauge detect --csv -",
        ),
    )(command)


def command(
    csv: Annotated[
        Path,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Columns timestamp and value, named by a header; further ones are ignored. - is standard input.",
            show_default=False,
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(help="Add a column anomaly: 1 from this score on. 6 is a good one.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Score a plain series: how many robust standard deviations each row lies off what the rows before it let expect.

    Prints timestamp, value and score per row as CSV, in the file's order; with --json one object a line. Rises and
    falls count alike. No score depends on later rows; those of the first day (48 rows at least, 288 at most) are 0.

    Timestamps are RFC 3339, YYYY-MM-DD HH:MM:SS (UTC), or numbers since 1970, told apart by size: seconds below 1e11,
    milliseconds below 1e14, else microseconds. The interval, from a second to a day, is the median step of the first
    48 rows. Rows are judged in order of time, those of one moment one after the other. A row without value (empty, NaN,
    null) has score 0 and teaches nothing; missing rows are not filled in.
    """
    from streamgauge.cli.detect_reading import read_series
    from streams.agents.spikes.plain import interval_of, score_series, warm_up_rows

    if threshold is not None and not threshold > 0:
        raise typer.BadParameter(f"{threshold:g} is not above 0", param_hint="--threshold")
    series = read_series(csv)
    times = [series.times_us[place] for place in series.order]
    scores = [0.0] * len(times)
    for place, score in zip(
        series.order, score_series(times, [series.values[place] for place in series.order]), strict=True
    ):
        scores[place] = score
    (_print_json if json else _print_csv)(series, scores, threshold)
    if not series.is_sorted:
        typer.echo("streamgauge: rows are not in order of time; they were judged in order of time.", err=True)
    judged, asked = sum(value is not None for value in series.values), warm_up_rows(interval_of(times))
    if judged <= asked:
        typer.echo(
            f"streamgauge: {judged:,} rows with a value are too few, so all scores are 0; the first {asked} of this "
            "interval are learnt from.",
            err=True,
        )


def _print_csv(series: Series, scores: list[float], threshold: float | None) -> None:
    import csv
    import sys

    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["timestamp", "value", "score", *([] if threshold is None else ["anomaly"])])
    for stamp, text, score in zip(series.stamps, series.texts, scores, strict=True):
        out.writerow([stamp, text, f"{score:.4f}", *([] if threshold is None else [int(score >= threshold)])])


def _print_json(series: Series, scores: list[float], threshold: float | None) -> None:
    import sys
    from json import dumps

    for stamp, value, score in zip(series.stamps, series.values, scores, strict=True):
        row: dict[str, object] = {"timestamp": stamp, "value": value, "score": round(score, 4)}
        if threshold is not None:
            row["anomaly"] = score >= threshold
        sys.stdout.write(dumps(row, ensure_ascii=False) + "\n")
