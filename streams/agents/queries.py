"""In: a scope and a span of event time. Out: a query on `usage_events`, as text for people to paste."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from runtime.clock import to_datetime
from schemas.alerts import AlertScope

#: Selector -> column of the analysts' view.
_COLUMNS = {
    "department": "department",
    "team": "team_id",
    "project": "project_id",
    "use_case": "use_case",
    "stage": "stage",
    "model_class": "model_class",
    "workflow": "workflow",
    "role": "role",
    "criticality": "criticality",
    "data_class": "data_class",
    "source": "source",
}


def spending_query(scope: AlertScope, start_us: int, end_us: int) -> str:
    """Ranks what cost most in the scope. The text is pasted by people, never sent by us, so literals stand in it."""
    conditions = "".join(
        f"\n  AND {_COLUMNS[name]} = '{literal(value)}'"
        for name, value in scope.model_dump(exclude_none=True, exclude={"one_person"}).items()
    )
    template = Template(files("streams.agents").joinpath("spending.sql").read_text(encoding="utf-8"))
    text = template.substitute(start=_moment(start_us), end=_moment(end_us), conditions=conditions)
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def literal(value: str) -> str:
    """What may stand between single quotes."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _moment(us: int) -> str:
    return f"{to_datetime(us):%Y-%m-%d %H:%M:%S}"
