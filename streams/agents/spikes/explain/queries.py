"""In: a finding, what carries it. Out: queries for people to paste: what rose; and, for its owner, who is behind it."""

from __future__ import annotations

from typing import Final

from schemas.alerts import AlertScope, Cause, Link
from schemas.control.periods import HOUR_US
from streams.agents.queries import conditions, filled, literal, moment

_WEEK_US: Final = 7 * 24 * HOUR_US
_PACKAGE: Final = "streams.agents.spikes.explain"
#: Dimension of a carrier -> what has its value in a row of events.
_COLUMNS: Final = {
    "use_case": "use_case",
    "model_class": "model_class",
    "workflow": "workflow",
    "workflow_version": "concat(ifNull(workflow, ''), '@', workflow_version)",
    "prompt_template": "prompt_template",
    "application": "application",
    "model": "model",
    "client": "concat(client_name, '/', ifNull(client_version, ''))",
    "credential": "credential_id",
}


def rise_query(scope: AlertScope, start_us: int, end_us: int) -> Link:
    """The span beside the same span a week before, by what may carry the rise."""
    return Link(
        rel="query",
        href=filled(
            _PACKAGE,
            "rise.sql",
            start=moment(start_us),
            end=moment(end_us),
            start_before=moment(start_us - _WEEK_US),
            end_before=moment(end_us - _WEEK_US),
            conditions=_more(conditions(scope), "        "),
        ),
    )


def people_query(alert: str, scope: AlertScope, start_us: int, end_us: int, first: Cause | None) -> Link:
    """Who is behind what carries most of it; it leaves a trace in the server's query log."""
    where = conditions(scope)
    if first is not None and first.dimension in _COLUMNS and first.factor:
        where = [*where, f"{_COLUMNS[first.dimension]} = '{literal(first.factor)}'"]
    text = filled(
        _PACKAGE,
        "people.sql",
        start=moment(start_us),
        end=moment(end_us),
        conditions=_more(dict.fromkeys(where), "  "),
        alert=alert,
    )
    return Link(rel="query", href=text)


def _more(some: list[str] | dict[str, None], indent: str) -> str:
    return "".join(f"\n{indent}AND {one}" for one in some)
