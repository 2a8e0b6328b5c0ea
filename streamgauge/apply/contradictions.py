"""In: one policy. Out: where it contradicts itself, or says what cannot be held."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.control.policies import Choice, Policy
from streamgauge.apply.wording import meant


def policy_faults(policy: Policy) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) of everything."""
    for name in ("allow", "discourage", "forbid"):
        choice: Choice | None = getattr(policy, name)
        if choice is not None and not choice.models and not choice.providers:
            so = ", so it would forbid everything: write forbid: {models: ['*']} if that is meant"
            yield name, f"names no model and no provider{so if name == 'allow' else ''}"
    if policy.forbid is not None:
        if policy.allow is not None:
            yield from _both(policy.allow, policy.forbid, "allow", "forbids", "forbid")
        if policy.discourage is not None:
            yield from _both(policy.discourage, policy.forbid, "discourage", "forbids", "forbid")
    if policy.required_fields:
        yield from _unknown(policy.required_fields)


def _unknown(required: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    # Here and not above: columns come with pyarrow, which takes longer to load than most commands have to do.
    from schemas.usage import USAGE_COLUMNS

    fields = set(USAGE_COLUMNS.names)
    for number, field in enumerate(required):
        if field not in fields:
            yield f"required_fields.{number}", f"{field!r} is not a field of a usage event{meant(field, fields)}"


def _both(first: Choice, second: Choice, field: str, verb: str, other: str) -> Iterator[tuple[str, str]]:
    """Names of the first choice that the second takes away altogether."""
    for kind in ("models", "providers"):
        for number, name in enumerate(getattr(first, kind)):
            wider = next((family for family in getattr(second, kind) if _covers(family, name)), None)
            if wider is not None:
                by = "it" if wider == name else f"all of {wider!r}"
                yield (
                    f"{field}.{kind}.{number}",
                    f"this policy names {name!r} here and {verb} {by} in {other}.{kind}: take it out of one of the two",
                )


def _covers(family: str, name: str) -> bool:
    return name.startswith(family[:-1]) if family.endswith("*") else name == family
