"""In: budget statuses and the control records. Out: a line of figures for each, below it what they mean; or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from schemas.control.exceptions import ExceptionGrant
    from schemas.control.snapshot import ControlSnapshot
    from schemas.status import BudgetStatus

_STYLES: Final = {"ok": "green", "warning": "yellow", "soft": "dark_orange", "hard": "red", "unknown": "magenta"}
_HEAD: Final = ("budget", "state", "used", "plan", "limit", "of limit", "", "left")
#: Which columns stand to the right.
_RIGHT: Final = (False, False, True, True, True, False, True, True)
_BAR: Final = 14
_GAP: Final = 2


def as_json(status: BudgetStatus, snapshot: ControlSnapshot, now: datetime) -> dict[str, Any]:
    """The status, with what the table derives from it: share of the plan, seconds left, exceptions in words."""
    return {
        **status.model_dump(mode="json"),
        "plan_share": _plan_share(status),
        "left_s": max(0, round((status.period.end - now).total_seconds())),
        "exceptions_in_force": [
            {"id": grant.id, "extra": str(grant.extra), "valid_to": grant.valid_to}
            for grant in _granted(status, snapshot)
        ],
    }


def print_budgets(statuses: Sequence[BudgetStatus], snapshot: ControlSnapshot, now: datetime) -> None:
    """No line is wider than the console; figures stand below each other, sentences are broken between words."""
    from rich.padding import Padding
    from rich.text import Text

    from streamgauge.cli.output import console

    out = console()
    rows = [_figures(status, now) for status in statuses]
    widths = [max(len(line[place]) for line in (_HEAD, *rows)) for place in range(len(_HEAD))]
    room = int(out.width) - sum(widths[1:]) - _GAP * (len(widths) - 1)
    widths[0] = min(widths[0], max(12, room))
    out.print(Text(_line(_HEAD, widths), style="bold"))
    for status, (name, *figures) in zip(statuses, rows, strict=True):
        is_long = len(name) > widths[0]
        if is_long:
            # A long id keeps a line to itself, so that it can be copied whole.
            out.print(Text(name, style="bold"), overflow="fold")
        text = Text(_line(("" if is_long else name, *figures), widths))
        start = widths[0] + _GAP
        text.stylize("bold", 0, widths[0])
        text.stylize(_STYLES[status.state], start, start + len(status.state))
        out.print(text, overflow="fold")
        for sentence in _sentences(status, snapshot, now):
            out.print(
                Padding(
                    Text(sentence, style="dim" if not sentence.startswith("unknown") else ""),
                    (0, 0, 0, 2),
                    expand=False,
                )
            )


def scope_text(status: BudgetStatus) -> str:
    """`team search, stage production`; never who a person is."""
    parts = status.scope.model_dump(exclude_none=True, exclude={"one_person", "source"})
    told = [f"{name.replace('_', ' ')} {value}" for name, value in parts.items()]
    return ", ".join([*told, *(["one person"] if status.scope.one_person else [])]) or "platform"


def _figures(status: BudgetStatus, now: datetime) -> tuple[str, ...]:
    from streamgauge.cli.output import bar, short_amount

    return (
        status.budget_id,
        status.state,
        short_amount(status.used, status.unit),
        "" if status.plan is None else short_amount(status.plan, status.unit),
        short_amount(status.limit, status.unit),
        bar(status.used_share, _BAR),
        f"{status.used_share:.0%}",
        _left(status, now),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, _RIGHT, strict=True)
    ]
    return (" " * _GAP).join(aligned).rstrip()


def _sentences(status: BudgetStatus, snapshot: ControlSnapshot, now: datetime) -> list[str]:
    """What the figures are about and what they mean, the gravest first."""
    found = []
    if status.state == "unknown":
        found.append(f"unknown, because {status.state_reason or 'the reason was not given'}")
    about = [scope_text(status), _period(status, snapshot), status.mode]
    share = _plan_share(status)
    if share is not None and status.plan != status.limit:
        about.append(f"{share:.0%} of plan")
    if status.unit in ("tokens", "input_tokens", "output_tokens", "calls"):
        about.append(status.unit.replace("_", " "))
    if status.would_stop and status.mode != "enforce":
        about.append("would stop calls if it enforced")
    found.append(" · ".join(about))
    step = _next_step(status, now)
    if step is not None:
        found.append(step)
    if status.state != "unknown" and status.state_reason is not None:
        found.append(status.state_reason)
    forecast = _forecast(status, now)
    if forecast is not None:
        found.append(forecast)
    found += _exceptions(status, snapshot)
    if status.acknowledged is not None:
        said = status.acknowledged
        found.append(f"{said.level} limit acknowledged by {said.by}, {_day(said.at, status)}")
    return found


def _next_step(status: BudgetStatus, now: datetime) -> str | None:
    """What to do about a level that speaks; nothing while a budget only observes, or is acknowledged or over."""
    level = status.state
    if level not in ("soft", "hard") or status.mode == "observe" or status.period.end <= now:
        return None
    if status.acknowledged is not None and (level == "soft" or status.acknowledged.level == "hard"):
        return None
    more = f"streamgauge exceptions request --budget {status.budget_id}"
    if level == "soft":
        return f"goes on when a manager says so: streamgauge budgets ack {status.budget_id}; or ask for more: {more}"
    return f"a reviewer can grant more: {more}"


def _forecast(status: BudgetStatus, now: datetime) -> str | None:
    from streamgauge.cli.output import short_amount

    seen = status.forecast
    if seen is None or status.period.end <= now:
        return None
    middle, low, high = (short_amount(value, status.unit) for value in (seen.p50, seen.p10, seen.p90))
    parts = [f"forecast {middle} ({low} to {high}), {seen.chance_of_exceeding:.0%} likely above the limit"]
    if seen.exhausted_on is not None:
        parts.append(f"reached about {_day(seen.exhausted_on, status)}")
    if seen.method == "insufficient_history":
        parts.append(f"insufficient history ({seen.weeks:.0f} weeks): the rate so far stands in")
    return ", ".join(parts)


def _exceptions(status: BudgetStatus, snapshot: ControlSnapshot) -> list[str]:
    from streamgauge.cli.output import short_amount

    if not status.exceptions:
        return []
    known = {grant.id: f"{grant.id} until {_day(grant.valid_to, status)}" for grant in _granted(status, snapshot)}
    names = ", ".join(known.get(name, name) for name in status.exceptions)
    return [f"the limit includes {short_amount(status.extra, status.unit)} by exception: {names}"]


def _granted(status: BudgetStatus, snapshot: ControlSnapshot) -> list[ExceptionGrant]:
    return [snapshot.exceptions[name] for name in status.exceptions if name in snapshot.exceptions]


def _plan_share(status: BudgetStatus) -> float | None:
    return status.used / status.plan if status.plan else None


def _period(status: BudgetStatus, snapshot: ControlSnapshot) -> str:
    """As people call it; of a budget that is gone or has other periods now, by its first day."""
    from schemas.control.base import moment_us
    from schemas.control.periods import period_name

    budget = snapshot.budgets.get(status.budget_id)
    if budget is not None and (budget.period, budget.time_zone) == (status.period.kind, status.period.time_zone):
        # A time of day below is the budget's own, so its zone is named where it is not UTC.
        zone = "" if budget.time_zone == "UTC" else f" ({budget.time_zone})"
        return period_name(budget, moment_us(status.period.start)) + zone
    return f"{status.period.kind} from {_day(status.period.start, status)}"


def _left(status: BudgetStatus, now: datetime) -> str:
    if now < status.period.start:
        return "not begun"
    left = status.period.end - now
    if left <= timedelta():
        return "over"
    if left >= timedelta(days=2):
        return f"{left.days} days"
    hours, minutes = divmod(int(left.total_seconds()) // 60, 60)
    return f"{hours} h" if hours >= 2 else f"{hours * 60 + minutes} min"


def _day(moment: datetime, status: BudgetStatus) -> str:
    """`24 November`, with the time within a day or an hour's budget; in the budget's own zone."""
    from zoneinfo import ZoneInfo

    local = moment.astimezone(ZoneInfo(status.period.time_zone))
    exact = status.period.kind in ("hour", "day") or (local.hour, local.minute) != (0, 0)
    return f"{local.day} {local:%B %H:%M}" if exact else f"{local.day} {local:%B}"
