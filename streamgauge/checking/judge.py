"""In: a question, the rulebook, the statuses, and how old they are. Out: the answer, with a reason for every budget and
policy that speaks.

| state of a budget | observe | warn | enforce |
|---|---|---|---|
| warning | allow | warn | warn |
| soft, not acknowledged | allow | warn | needs_acknowledgement |
| soft, acknowledged | allow | warn | warn |
| hard | allow | warn | stop |
| hard, acknowledged by a reviewer | allow | warn | warn |
| unknown | allow | warn | `check.unknown` |

The gravest reason decides. What is only observed or warned of says in `would` what enforcing it would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.alerts import AlertUnit
from schemas.control.budgets import LEVELS, NANO_PER_USD, Level, Mode
from schemas.control.periods import BudgetPeriod
from schemas.status import BudgetState, BudgetStatus
from streamgauge.checking.answer import GRAVITY, Answer, Decision, Freshness, Reason
from streamgauge.checking.budgets import BudgetEntry
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.question import Estimate, Question
from streamgauge.checking.resolve import Resolved
from streamgauge.checking.rulebook import Rulebook
from streamgauge.checking.statuses import Statuses

#: Said to a caller who is stopped for a reason that no period lifts.
_AGAIN_S: Final = 60
_ENFORCED: Final[dict[str, Decision]] = {
    "ok": "allow",
    "warning": "warn",
    "soft": "needs_acknowledgement",
    "hard": "stop",
}
_UNITS: Final[dict[str, AlertUnit]] = {
    "usd": "nanousd",
    "tokens": "tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "calls": "calls",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a question is judged by. `behind_s`: seconds since all that stood on the topics was known; None: never.
    `personal`: whether the status of budgets about one person may be read.
    """

    rulebook: Rulebook
    statuses: Statuses
    behind_s: float | None
    personal: bool = True


def answer(question: Question, known: Known, config: CheckConfig, now_us: int) -> Answer:
    """Judge one call. Pure: the same knowledge gives the same answer."""
    documented = known.rulebook.of(question, now_us)
    resolved, freshness = documented.resolved, _freshness(known, config, now_us)
    reasons = _of_the_check(resolved, known, config, freshness)
    matched = 0
    for entry in documented.entries:
        period = entry.period(now_us)
        if period is not None:
            matched += 1
            reason = _of_budget(entry, period, question, known, config, now_us)
            if reason is not None:
                reasons.append(reason)
    reasons += documented.policies
    decision: Decision = max((reason.decision for reason in reasons), key=GRAVITY.__getitem__, default="allow")
    if not question.explain:
        reasons = [reason for reason in reasons if reason.state not in ("ok", "allowed")]
    reasons.sort(key=lambda reason: (-GRAVITY[reason.decision], reason.kind, reason.id))
    return Answer(
        decision,
        tuple(reasons),
        freshness,
        documented.shown,
        resolved.lost,
        matched,
        _retry_after(reasons) if decision == "stop" else None,
    )


def _freshness(known: Known, config: CheckConfig, now_us: int) -> Freshness:
    newest = known.statuses.newest()
    stale = known.behind_s is None or known.behind_s > config.stale_after_s
    if config.silent_after_s and not stale:
        silent_us = now_us - int(newest.evaluated_at.timestamp() * 1_000_000) if newest is not None else None
        stale = silent_us is None or silent_us > config.silent_after_s * 1_000_000
    mark = None if newest is None else newest.as_of.watermark
    return Freshness(
        None if known.behind_s is None else round(known.behind_s, 3),
        None if mark is None else mark.isoformat(),
        None if newest is None else newest.evaluated_at.isoformat(),
        stale,
    )


def _of_the_check(resolved: Resolved, known: Known, config: CheckConfig, freshness: Freshness) -> list[Reason]:
    """What is wrong with knowing, whatever the call."""
    reasons = []
    if freshness.stale:
        if freshness.read_behind_s is None:
            text = "budgets and their states have not been read since this process began: nothing is known"
        elif freshness.read_behind_s > config.stale_after_s:
            text = (
                f"what is known is {freshness.read_behind_s:.0f} s old, {config.stale_after_s:.0f} s are accepted: "
                "Kafka does not answer; this is judged by what was known then"
            )
        else:
            text = f"no status has come for more than {config.silent_after_s:.0f} s: do the agents stand still?"
        reasons.append(Reason("check", "stale", config.stale, text, "stale"))
    if resolved.is_person_unknown and known.rulebook.knows_persons:
        text = "user_id was given, but this process has no user key: what is about persons could not be looked at"
        reasons.append(Reason("check", "person", config.unknown, text, "unknown"))
    return reasons


def _of_budget(
    entry: BudgetEntry, period: BudgetPeriod, question: Question, known: Known, config: CheckConfig, now_us: int
) -> Reason | None:
    """None for a budget that is in order, where nobody asked to hear of those."""
    budget = entry.budget
    status, unknown = _status(entry, period, known)
    used = 0 if status is None else status.used
    levels = entry.levels if status is None else status.levels
    expected = _expected(budget.unit, question.estimate)
    first = levels["warning"]
    if unknown is None and used < first and used + expected <= first and not question.explain:
        # Most of all budgets, nearly always: nothing else is worked out of them. Levels rise.
        return None
    limit = budget.limit_units if status is None else status.limit
    now, after = _reached(used, 0, levels), _reached(used, expected, levels)
    state: BudgetState = "unknown" if unknown is not None and now != "hard" else after
    said = None if status is None or status.acknowledged is None else status.acknowledged.level
    acknowledged = said is not None and (state == "soft" or said == state)
    enforced: Decision = config.unknown if state == "unknown" else _ENFORCED[state]
    if acknowledged and GRAVITY[enforced] > GRAVITY["warn"]:
        enforced = "warn"
    decision = _by_mode(budget.mode, enforced)
    unit = _UNITS[budget.unit]
    whose = entry.whose(period)
    if state == "unknown":
        text = f"Budget {whose}: what it stands at is not known, because {unknown}"
    else:
        told = f"Budget {whose}: {amount(unit, used)} of {amount(unit, limit)} used"
        text = told + _consequence(state, now != after, acknowledged, decision, budget.id)
    return Reason(
        "budget",
        budget.id,
        decision,
        text,
        state,
        would=enforced if GRAVITY[enforced] > GRAVITY[decision] else None,
        used=used,
        limit=limit,
        unit=unit,
        level=state if state in LEVELS else None,
        mode=budget.mode,
        owner=budget.owner,
        contact=budget.contact,
        ends_in_s=max(1, -(-(period.end_us - now_us) // 1_000_000)),
    )


def _status(entry: BudgetEntry, period: BudgetPeriod, known: Known) -> tuple[BudgetStatus | None, str | None]:
    """The status of the running period, and why it is not known what the budget stands at.

    None and None: the agents know the budget and have counted nothing in this period.
    """
    budget = entry.budget
    if entry.is_personal and not known.personal:
        return None, "this process may not read the status of budgets about one person"
    if known.behind_s is None:
        return None, "its status was not read yet"
    status = known.statuses.of(budget.id, period.start_us)
    if status is None and known.statuses.stands(budget.id, period.start_us):
        return None, "its status cannot be read by this version; are the agents newer?"
    if status is None:
        before = known.statuses.before(budget.id, period.start_us)
        if before is not None and before.rule == entry.rule:
            return None, None
        return None, "the agents have not told its status yet"
    if status.rule != entry.rule:
        return None, "it counts other events since its document was changed, and the agents have not told so yet"
    if status.state == "unknown":
        return status, status.state_reason or "the agents do not say why"
    return status, None


def _reached(used: int, more: int, levels: dict[Level, int]) -> BudgetState:
    """The level that `used` has reached, or that a call of `more` would go beyond."""
    state: BudgetState = "ok"
    for level in LEVELS:
        if used >= levels[level] or used + more > levels[level]:
            state = level
    return state


def _expected(unit: str, estimate: Estimate) -> int:
    if unit == "usd":
        return estimate.cost_nanousd
    if unit == "calls":
        return 1
    counted = estimate.input_tokens if unit != "output_tokens" else 0
    return counted + (estimate.output_tokens if unit != "input_tokens" else 0)


def _by_mode(mode: Mode, enforced: Decision) -> Decision:
    if mode == "enforce" or enforced == "allow":
        return enforced
    return "warn" if mode == "warn" else "allow"


def _consequence(state: BudgetState, by_this_call: bool, acknowledged: bool, decision: Decision, budget_id: str) -> str:
    if state == "ok":
        return ""
    where = {"warning": "its warning level", "soft": "its soft limit", "hard": "its hard limit"}[state]
    text = f", which this call would bring beyond {where}" if by_this_call else f", at {where}"
    if acknowledged:
        return f"{text}; acknowledged, so it goes on"
    if decision == "needs_acknowledgement":
        return f"{text}; a manager acknowledges it with `streamgauge budgets ack {budget_id}`"
    if decision == "stop":
        return f"{text}; a reviewer can grant more: `streamgauge exceptions request --budget {budget_id}`"
    return text


def _retry_after(reasons: list[Reason]) -> int:
    """Seconds until the last of the budgets that stop starts anew."""
    return max(reason.ends_in_s or _AGAIN_S for reason in reasons if reason.decision == "stop")


def amount(unit: AlertUnit, units: int) -> str:
    """`$96.20`, `1,200 tokens`."""
    if unit != "nanousd":
        return f"{units:,} {unit.replace('_', ' ')}"
    dollars = units / NANO_PER_USD
    return f"${dollars:.4f}" if 0 < abs(dollars) < 1 else f"${dollars:,.2f}"
