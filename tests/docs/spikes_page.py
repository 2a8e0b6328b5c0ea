"""In: the detector's constants, and a rise in the demo's month. Out: the figures of docs/spikes.md.

python -m tests.docs.spikes_page    # writes them anew between their markers
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.clock import to_datetime
from schemas.alerts import Alert
from schemas.control.base import moment_us
from sources.fleet import Chunk, Fleet, Incident, house_files
from streamgauge.alerts.reading import Story, fold
from streamgauge.alerts.story_text import story_lines
from streamgauge.apply import load_files
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.buckets import BUCKET_US, CALLS, COST, INPUT, RING
from streams.agents.spikes.evidence import BURST, STEADY
from streams.agents.spikes.policy import NANO_PER_USD, SpikePolicy
from tests.docs.pages import Page, page
from tests.docs.tables import _table, block
from tests.support.enrich import KEY, snapshot_of
from tests.support.fleet_tallies import fleet_tallies, together

PAGE: Final = page("docs/spikes.md")
END: Final = datetime(2026, 11, 21, 18, 7, tzinfo=UTC)
BUCKET: Final = timedelta(microseconds=BUCKET_US)
PLANTED, TEAM, USE_CASE = "prompt bloat", "claims-docs", "claims-extraction"
_WIDTH: Final = 110


@dataclass(frozen=True, slots=True)
class Bucket:
    """One closed bucket of the series: what it used and what was usual."""

    at: datetime
    calls: float
    usual_calls: float
    input_per_call: float
    usual_input_per_call: float
    cost: float
    usual_cost: float


@dataclass(frozen=True, slots=True)
class Example:
    """A rise as the agents met it: buckets around its start, the cost of one that is told before it is over, states."""

    incident: Incident
    buckets: tuple[Bucket, ...]
    early_cost: float
    #: Watermark when it was first told.
    told_at: datetime
    states: tuple[Alert, ...]


@cache
def example() -> Example:
    """One team's part of the demo's month, through enrich and one shard of the agents."""
    fleet = Fleet(1, END, days=26)
    records = list(load_files(house_files(), KEY).records.values())
    [incident] = [one for one in fleet.incidents if one.name == PLANTED]
    tallies = fleet_tallies(_batches(fleet, incident), records)[0]
    shard, control = Shard(0, Counts(2, 1), AgentsConfig()), snapshot_of(*records)
    alerts: list[Alert] = []
    buckets: dict[datetime, Bucket] = {}
    early, told_at = 0.0, None
    for message in tallies:
        shard.offer(message)
        settlement = shard.settle(message.mark.append_us or 0, control, force=True)
        fresh = [one for one in settlement.alerts if one.kind == "spike"] if settlement is not None else []
        watermark_us = shard.watermarks.now.watermark_us
        if fresh and told_at is None and watermark_us is not None:
            told_at = to_datetime(watermark_us)
        alerts += fresh
        if (bucket := _last_bucket(shard)) is not None:
            if bucket.at + BUCKET <= incident.starts_at:
                early = float(shard.spikes.roster.running["early"][_row(shard), 0])
            buckets[bucket.at] = bucket
    [story] = fold(alerts).values()
    assert told_at is not None
    around = [
        one
        for at, one in sorted(buckets.items())
        if incident.starts_at - 2 * BUCKET <= at and at + BUCKET <= story.first.window.end
    ]
    return Example(incident, tuple(around), early, told_at, story.states)


def _batches(fleet: Fleet, incident: Incident) -> Iterator[Sequence[Chunk]]:
    """Hours before it many at a time; then five minutes at a time; its later hours one by one, and two after it."""
    chunks = [_of_one(chunk) for chunk in fleet.chunks() if chunk.starts_at < incident.ends_at + timedelta(hours=3)]
    slow = [incident.starts_at - timedelta(hours=1), incident.starts_at + timedelta(hours=1)]
    yield from together([chunk for chunk in chunks if chunk.ends_at <= slow[0]], 6)
    for chunk in chunks:
        if slow[0] < chunk.ends_at and chunk.starts_at < slow[1]:
            yield from ([part] for part in _in_buckets(chunk))
    yield from together([chunk for chunk in chunks if slow[1] <= chunk.starts_at], 1)


def _of_one(chunk: Chunk) -> Chunk:
    return replace(chunk, usage=chunk.usage.filter(pc.equal(chunk.usage["use_case"], USE_CASE)), bad=())


def _in_buckets(chunk: Chunk) -> Iterator[Chunk]:
    at = chunk.usage["occurred_at"]
    first = chunk.starts_at
    while first < chunk.ends_at:
        # Up to the end of a bucket, wherever the chunk begins.
        last = min(to_datetime((moment_us(first) // BUCKET_US + 1) * BUCKET_US), chunk.ends_at)
        inside = pc.and_(pc.greater_equal(at, pa.scalar(first)), pc.less(at, pa.scalar(last)))
        yield replace(chunk, starts_at=first, ends_at=last, usage=chunk.usage.filter(inside))
        first = last


def _row(shard: Shard) -> int:
    [row] = [
        row
        for row in range(len(shard.spikes.roster.rows))
        if (one := shard.spikes.roster.series(row)).team == TEAM and one.use_case == USE_CASE
    ]
    return row


def _last_bucket(shard: Shard) -> Bucket | None:
    watch = shard.spikes
    known = [watch.roster.series(row).use_case for row in range(len(watch.roster.rows))]
    if watch.next is None or USE_CASE not in known:
        return None
    number, row = watch.next - 1, _row(shard)
    used, usual = (
        np.asarray(watch.roster.running[name][row, number % RING], dtype=np.float64)
        for name in ("observed", "expected")
    )
    return Bucket(
        to_datetime(number * BUCKET_US),
        float(used[CALLS]),
        float(usual[CALLS]),
        float(used[INPUT] / max(used[CALLS], 1)),
        float(usual[INPUT] / max(usual[CALLS], 1e-9)),
        float(used[COST]),
        float(usual[COST]),
    )


def thresholds() -> str:
    """What a measure must exceed."""
    policy = SpikePolicy()
    measures = (
        ("calls", policy.z_calls, policy.ratio),
        ("tokens per call", policy.z_tokens, policy.ratio),
        ("price per token", policy.z_price, policy.ratio),
        ("effect of prompt caches on the price", policy.z_cache, policy.ratio_cache),
        ("cost as a whole", policy.z_cost, policy.ratio),
    )
    rows = [(name, f"{z:g}", f"{ratio:g} times") for name, z, ratio in measures]
    return _table(("measure", "z-score above", "and above its usual"), rows) + "\n"


_RULES: Final = """\
*Twice looked at.* Over the last two buckets with {fast_hits} of the last {fast_window} standing out (z-scores \
{fast_factor:g} times as high), or over the last six with {hits} of the last {window}. A bucket stands out from \
{hit_ratio:g} times its usual on ({hit_ratio_cache:g} for caches).
*Worth it.* At least {excess_total} in these buckets and {excess_per_hour} an hour beyond the usual, cost as a whole \
{cost_ratio:g} times its usual, and {least_calls:g} calls in half an hour.
*Not what it always does.* {over_top:g} times as strong as the strongest of its quiet times, which fade by half in \
three weeks. More calls, or more cost as a whole, must also cost {over_reach:g} times what half an hour has come to \
around this time of like days, and more where that lies far above the usual (up to {most_reach:.1f} times); \
{young_reach:g} times as much until {known_hours} hours are learnt. Where that lies more than {steady:g} times above \
the usual, their z-scores must be higher too (up to {most_z:.1f} times).
*Calls made again.* Where {failing:.0%} of the calls beyond the usual fail, {failing_factor:g} times the z-score of \
calls and cost is enough.
*Learnt.* {warm_up_hours} hours and {warm_up_calls} calls at least; until {sure_hours} hours {young_factor:g} times as \
much is asked.
*Use cases.* A team is always watched; a use case by itself from {pair_calls} calls in a week on, the {pairs_per_team} \
busiest of a team.
*Over* after {calm_buckets} calm buckets in a row (under {calm_ratio:g} times its usual, or a z-score under \
{calm_z:g}); *adopted* as the new usual after {adopt_buckets} buckets.
*Early.* A bucket of {early_calls} calls or more that is not over yet is told at once when it has already cost \
{early_ratio:g} times what the hour's dearest bucket usually costs, {early_peak:g} times the dearest that is \
remembered, and {early_excess} and {early_z:g} standard deviations beyond the usual."""


def rules() -> str:
    """The other constants, in sentences."""
    policy = asdict(SpikePolicy())
    for name in ("excess_total", "excess_per_hour", "early_excess"):
        policy[name] = _usd(policy[name])
    policy |= {"steady": STEADY, "most_z": (policy["most_burst"] / STEADY) ** BURST}
    policy["most_reach"] = policy["over_reach"] * policy["most_burst"] ** BURST
    lines = _RULES.format(**policy).splitlines()
    return "\n".join(_filled(f"- {line}", "  ") for line in lines) + "\n"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False)


def worked() -> str:
    """The buckets, the decision, and the alert as `alerts show` prints it."""
    found = example()
    first = found.states[0]
    rows = [
        (
            f"{one.at:%H:%M}",
            f"{one.calls:.0f}",
            f"{one.usual_calls:.1f}",
            f"{one.input_per_call:,.0f}",
            f"{one.usual_input_per_call:,.0f}",
            _usd(one.cost),
            _usd(one.usual_cost),
        )
        for one in found.buckets
    ]
    parts = [
        (
            f"`{cause.factor}`",
            _value(cause.factor, cause.before),
            _value(cause.factor, cause.after),
            _usd(cause.delta),
            f"{cause.share:.1%}",
        )
        for cause in first.explanation
    ]
    assert first.expected is not None
    extra = _usd(first.observed - first.expected)
    plain = any(one.cost > found.early_cost for one in found.buckets)
    told = f"""\
The deploy goes out at {found.incident.starts_at:%H:%M}. A bucket that costs {_usd(found.early_cost)} would be plain \
by itself; {"one does" if plain else "none does"}. When the watermark stands at {found.told_at:%H:%M}, \
{len(_since(found))} buckets are closed that stand out, and the alert goes out: {_usd(first.observed)} since \
{first.occurred_at:%H:%M} where {_usd(first.expected)} is usual, {extra} extra. That splits into"""
    lines = [
        _table(("bucket (UTC)", "calls", "usual", "input per call", "usual", "cost", "usual"), rows),
        "",
        _filled(told),
        "",
        _table(("factor", "usual", "now", "part", "share"), parts),
        "",
        f"which add up to {_usd(sum(cause.delta for cause in first.explanation))}. The alert, whole:",
        "",
        "```text",
        *_shown(Story((first,))),
        "```",
        "",
    ]
    return "\n".join(lines)


def ended() -> str:
    """How it went on."""
    states = example().states
    last = states[-1]
    grown = [f"{_usd(one.impact or 0)}" for one in states[1:-1]]
    told = f"It is told again as its impact doubles ({', '.join(grown)}), and ends with revision {last.revision}:"
    return f"{_filled(told)}\n\n{textwrap.indent(_filled(last.summary), '> ')}\n"


def _since(found: Example) -> list[Bucket]:
    return [one for one in found.buckets if one.at >= found.states[0].occurred_at]


def _shown(story: Story) -> Iterator[str]:
    """Without the queries, which are long."""
    for line in story_lines(story, None, _WIDTH):
        if line == "To see more":
            return
        yield line.rstrip()


def _usd(nano: float) -> str:
    return f"{'-' if nano < 0 else ''}${abs(nano) / NANO_PER_USD:,.2f}"


def _value(factor: str, value: float | None) -> str:
    assert value is not None
    if factor == "price_per_token":
        return f"{_usd(value * 1_000_000)} a million"
    return f"{value:.1%}" if factor in ("errors", "cache_share", "model_mix") else f"{value:,.0f}"


BLOCKS: Final = (("thresholds", thresholds), ("rules", rules), ("example", worked), ("end", ended))


def main() -> None:
    for marker, make in BLOCKS:
        found = block(Page(PAGE.path), marker)
        text = PAGE.text
        PAGE.path.write_text(text[: found.start(2)] + make() + text[found.end(2) :], encoding="utf-8")


if __name__ == "__main__":
    main()
