"""In: a scope and a span of event time. Out: a query on `usage_events`, as text for people to paste."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from runtime.clock import to_datetime
from schemas.alerts import AlertScope
from streams.agents.batch import UNATTRIBUTED

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
    return filled(
        "streams.agents",
        "spending.sql",
        start=moment(start_us),
        end=moment(end_us),
        conditions="".join(f"\n  AND {one}" for one in conditions(scope)),
    )


def conditions(scope: AlertScope) -> list[str]:
    """What a call of the scope fulfils. Calls of nobody have no team."""
    return [
        f"{_COLUMNS[name]} IS NULL"
        if (name, value) == ("team", UNATTRIBUTED)
        else f"{_COLUMNS[name]} = '{literal(value)}'"
        for name, value in scope.model_dump(exclude_none=True, exclude={"one_person"}).items()
    ]


def filled(package: str, name: str, **values: str) -> str:
    """The text of a query with its `$names` put in, without its comment."""
    lines = files(package).joinpath(name).read_text(encoding="utf-8").splitlines()
    return Template("\n".join(line for line in lines if not line.startswith("--"))).substitute(values)


def literal(value: str) -> str:
    """What may stand between single quotes, on one line: senders choose these texts, and people paste them."""
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return "".join(char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in text)


def moment(us: int) -> str:
    """As ClickHouse reads it, UTC."""
    return f"{to_datetime(us):%Y-%m-%d %H:%M:%S}"
