"""In: JSON, or the headers and query of a proxy. Out: one Question: what is known of a call before it is made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas.control.budgets import NANO_PER_USD

HEADER_PREFIX: Final = "x-streamgauge-"
_MAX_TEXT: Final = 1_024


class BadQuestion(ValueError):
    """The question cannot be read; the message says which part and what is accepted."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the call will use, as the asker expects it: nano-dollars and tokens."""

    cost_nanousd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """One call. None: not known. Names are those of UsageEvent; `department`, `role`, `model_class` and `criticality`
    count only where the documents say nothing of them. `user_hash`: for askers that hash user ids themselves.
    """

    team_id: str | None = None
    department: str | None = None
    project_id: str | None = None
    use_case: str | None = None
    workflow: str | None = None
    workflow_version: str | None = None
    prompt_template: str | None = None
    application: str | None = None
    user_id: str | None = None
    user_hash: str | None = None
    role: str | None = None
    stage: str | None = None
    provider: str | None = None
    model: str | None = None
    model_class: str | None = None
    operation: str | None = None
    service_tier: str | None = None
    criticality: str | None = None
    data_class: str | None = None
    approval: str | None = None
    credential_id: str | None = None
    source: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    estimate: Estimate = Estimate()
    #: Also list what is in order.
    explain: bool = False


TEXTS: Final = tuple(one.name for one in fields(Question) if one.name not in ("estimate", "explain"))
_NUMBERS: Final = ("estimated_cost_usd", "estimated_input_tokens", "estimated_output_tokens")
#: The header of each field, without the prefix: `X-Streamgauge-Team`, `X-Streamgauge-Use-Case`.
_HEADERS: Final = {
    {"team_id": "team", "project_id": "project", "user_id": "user", "credential_id": "credential"}.get(
        name, name.replace("_", "-")
    ): name
    for name in (*TEXTS, *_NUMBERS, "explain")
}
_KNOWN: Final = frozenset((*TEXTS, *_NUMBERS, "explain"))


def from_json(body: bytes | str) -> Question:
    """A question as a JSON object. BadQuestion for unknown fields too: a typo must not silently mean nothing."""
    try:
        values = json.loads(body)
    except ValueError as error:
        raise BadQuestion(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BadQuestion("the body is nested too deep: a question is a flat object") from error
    if not isinstance(values, dict):
        raise BadQuestion(f"the body is a JSON {type(values).__name__}, but a question is an object")
    return from_values(values)


def from_request(query: Iterable[tuple[str, str]], headers: Iterable[tuple[str, str]]) -> Question:
    """A question of a proxy: query parameters by field name, headers `X-Streamgauge-…`; a header wins."""
    values: dict[str, Any] = dict(query)
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(HEADER_PREFIX):
            field = _HEADERS.get(lower.removeprefix(HEADER_PREFIX))
            if field is None:
                raise BadQuestion(
                    f"the header {name} is none of ours: there are "
                    + ", ".join(f"X-Streamgauge-{one.title()}" for one in _HEADERS)
                )
            values[field] = value
    return from_values(values)


def from_values(values: Mapping[str, Any]) -> Question:
    """A question from values by name; empty texts are as good as none."""
    unknown = sorted(values.keys() - _KNOWN)
    if unknown:
        near = next((name for name in sorted(_KNOWN) if name in (f"{unknown[0]}_id", f"{unknown[0]}_usd")), None)
        hint = f"; did you mean {near!r}?" if near is not None else f": there are {', '.join(sorted(_KNOWN))}"
        raise BadQuestion(f"{unknown[0]!r} is no field of a question{hint}")
    texts: dict[str, str] = {}
    for name in TEXTS:
        value = values.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise BadQuestion(f"{name} is {value!r}: a text is meant")
        if len(value) > _MAX_TEXT:
            raise BadQuestion(f"{name} has {len(value)} characters, {_MAX_TEXT} are accepted")
        if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
            raise BadQuestion(f"{name} is {value!r}: UTF-8 is meant")
        texts[name] = value
    estimate = Estimate(
        int(_number(values, "estimated_cost_usd") * NANO_PER_USD),
        int(_number(values, "estimated_input_tokens")),
        int(_number(values, "estimated_output_tokens")),
    )
    explain = values.get("explain") in (True, "1", "true")
    return replace(Question(), estimate=estimate, explain=explain, **texts)


def _number(values: Mapping[str, Any], name: str) -> Decimal:
    value = values.get(name)
    if value is None or value == "":
        return Decimal(0)
    try:
        # A float from JSON is an estimate anyway: its shortest text is what the asker wrote.
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise BadQuestion(f"{name} is {value!r}: a number is meant") from error
    if isinstance(value, bool) or not number.is_finite() or not 0 <= number < 10**12:
        raise BadQuestion(f"{name} is {value!r}: a number from 0 to a trillion is meant")
    return number
