"""In: an alert. Out: its causes and carriers as rows: what, its part of the change, its share; the rest always last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.alerts import Alert, Cause
from streamgauge.alerts.figures import percent, printable, signed

#: A rest below this is what rounding leaves.
_NOTHING: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Row:
    """`part` is empty of a rest, of which only the share is known."""

    what: str
    part: str
    share: str


@dataclass(frozen=True, slots=True)
class Carriers:
    """The values of one dimension that carry the change."""

    dimension: str
    rows: tuple[Row, ...]


def cause_rows(alert: Alert) -> tuple[Row, ...]:
    """The parts of the change; none where nothing was explained."""
    if not alert.explanation:
        return ()
    rows = [_row(one, alert) for one in alert.explanation]
    rest = alert.unexplained_share
    if rest is None:
        rest = 1.0 - sum(one.share for one in alert.explanation)
    # Said also where it is nothing, so that nobody has to wonder.
    return (*rows, Row("not explained", "", percent(0.0 if abs(rest) < _NOTHING else rest)))


def carriers(alert: Alert) -> tuple[Carriers, ...]:
    """By dimension, in the order in which the alert has them."""
    found: dict[str, list[Cause]] = {}
    for one in alert.carried_by:
        found.setdefault(one.dimension or "value", []).append(one)
    tables = []
    for number, (dimension, values) in enumerate(found.items()):
        rest = 1.0 - sum(one.share for one in values)
        if number == 0 and alert.uncarried_share is not None:
            rest = alert.uncarried_share
        rows = [_row(one, alert) for one in values]
        if number == 0 or abs(rest) >= _NOTHING:
            rows.append(Row("all others", "", percent(0.0 if abs(rest) < _NOTHING else rest)))
        tables.append(Carriers(dimension.replace("_", " "), tuple(rows)))
    return tuple(tables)


def _row(cause: Cause, alert: Alert) -> Row:
    return Row(printable(cause.label), signed(cause.delta, alert.unit), percent(cause.share))
