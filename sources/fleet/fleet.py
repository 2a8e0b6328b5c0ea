"""In: a seed, the moment at which the fleet's time ends, and a size. Out: its events in chunks of event time, and
what to expect.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa

from runtime.clock import to_datetime
from schemas.control.activities import PlannedActivity
from schemas.control.base import moment_us
from schemas.rejections import RejectionCode
from sources.fleet import resends
from sources.fleet.calendar import incident_days
from sources.fleet.calls import Bools, Calls, Int64s, concat
from sources.fleet.cast import NOBODY, PROTOTYPE, ROLES
from sources.fleet.columns import UsageColumns, id_pool
from sources.fleet.draw import Span, draw_team
from sources.fleet.expected import Expected, Incident
from sources.fleet.faults import ROW_FAULTS, BadMessage, bad_messages, spoil
from sources.fleet.incidents import PLANTS, load_test, over_budget
from sources.fleet.incidents.window import MINUTE_US, Scene
from sources.fleet.numbering import Numbering
from sources.fleet.outcomes import draw_outcomes
from sources.fleet.rhythm import HOUR_US
from sources.messages import Message, frame_rows, partition_of

FULL_SIZE: Final = 400_000
#: Ordinary first attempts per planned event; retries, incidents, resends and bad events make up the rest.
_ORDINARY: Final = 0.955
_BAD_ROWS: Final = 0.0015
_BAD_MESSAGES: Final = 0.0015


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is sent within [starts_at, ends_at) of event time: usage events, messages that are none, and outcomes."""

    index: int
    starts_at: datetime
    ends_at: datetime
    usage: pa.Table
    bad: tuple[BadMessage, ...]
    outcomes: pa.Table

    @property
    def events(self) -> int:
        """Usage events, bad ones included."""
        rows: int = self.usage.num_rows
        return rows + len(self.bad)

    def messages(self, partitions: int, batch: int = 200) -> Iterator[Message]:
        """Everything for `usage.events`, ready for BulkProducer.send_messages; in sending order within each
        partition.
        """
        yield from frame_rows(self.usage, partitions, batch)
        for one in self.bad:
            yield Message(partition_of(one.key, partitions), one.key, one.value, 1)

    def outcome_messages(self, partitions: int) -> Iterator[Message]:
        """Everything for `usage.outcomes`."""
        return frame_rows(self.outcomes, partitions, event="outcome_event")


class Fleet:
    """A month of a company. Equal arguments give equal events, byte for byte.

    `end` (with a time zone) is cut to the minute; event time is [end - days, end). About `target_events` are sent.
    Tokens of the team that must exceed its budget grow as the fleet shrinks, so that the budget in `house/` fits any
    size. ValueError when the span is too short for eight incidents on working days after the twelfth, or the fleet so
    small that chance keeps the team within its budget.
    """

    def __init__(
        self, seed: int, end: datetime, days: int = 30, target_events: int = FULL_SIZE, chunk_hours: int = 1
    ) -> None:
        if end.tzinfo is None:
            raise ValueError(f"end {end.isoformat()} has no time zone: use datetime.now(UTC)")
        if target_events < 10_000:
            raise ValueError(f"target_events {target_events} is less than 10000: the incidents would not show")
        if not 1 <= chunk_hours <= 24:
            raise ValueError(f"chunk_hours {chunk_hours} is not between 1 and 24")
        self.end = end.astimezone(UTC).replace(second=0, microsecond=0)
        self.start = self.end - timedelta(days=days)
        self._end_us, self._start_us = moment_us(self.end), moment_us(self.start)
        self._chunk_us = chunk_hours * HOUR_US
        self._numbers = Numbering()
        draws = np.random.SeedSequence(seed)
        random = np.random.Generator(np.random.PCG64(draws.spawn(1)[0]))
        days_us = incident_days(self._start_us, self._end_us, len(PLANTS))

        # 1. every team's month, on a random stream of its own, with its incident
        planted: list[Incident] = []
        teams = [self._team(place, seed, target_events, days_us, planted) for place in range(len(ROLES))]
        good = _joined(teams)
        count = int(good.call.max()) + 1
        # 2. what is refused: copies of good calls under ids of their own, then spoiled
        rows = good.take(
            random.choice(len(good), max(len(ROW_FAULTS), round(target_events * _BAD_ROWS)), replace=False)
        )
        fresh = rows.with_columns(call=count + np.arange(len(rows)), retry_of=np.full(len(rows), -1))
        spoiled = spoil(fresh, random)
        # 3. what is sent twice
        again = resends.resends(good, self._end_us, random)
        # 4. all of it in the order of sending
        everything = concat([good, spoiled, again])
        self._calls = everything.take(np.argsort(everything.sent_us, kind="stable"))

        event_ids = id_pool(count + len(spoiled), random)
        sessions = id_pool(int(good.session.max()) + 1, random, 16)
        self._columns = UsageColumns(self._numbers, event_ids, id_pool(len(event_ids), random), sessions)
        moments = np.sort(random.choice(good.sent_us, max(9, round(target_events * _BAD_MESSAGES)), replace=False))
        sample = self._columns.table(good.take(np.arange(1)))
        self._bad = tuple(bad_messages(moments.tolist(), sample, random))
        self._outcomes = draw_outcomes(good, self._numbers, sessions, self._end_us, random)

        self.incidents: tuple[Incident, ...] = tuple(
            sorted(self._crossed(good, planted), key=lambda one: one.starts_at)
        )
        #: What was announced: to be applied before the first event.
        self.activities: tuple[PlannedActivity, ...] = tuple(
            load_test.activity(one) for one in self.incidents if one.activity == load_test.ACTIVITY
        )
        self.expected = self._expect(good, spoiled, len(again))

    @property
    def total_events(self) -> int:
        """Usage events that `chunks()` will yield, bad ones and resends included."""
        return self.expected.sent

    @property
    def chunk_count(self) -> int:
        return math.ceil((self._end_us - self._start_us) / self._chunk_us)

    def chunks(self) -> Iterator[Chunk]:
        """All events in order of event time (resends by when they are sent). May be called again."""
        edges = [self._start_us + place * self._chunk_us for place in range(self.chunk_count)] + [self._end_us]
        calls = np.searchsorted(self._calls.sent_us, edges)
        bad_us = [one.sent_us for one in self._bad]
        known = np.searchsorted(self._outcomes.column("occurred_at").cast(pa.int64()).to_numpy(), edges)
        for place, (start_us, end_us) in enumerate(pairwise(edges)):
            yield Chunk(
                place,
                to_datetime(start_us),
                to_datetime(end_us),
                self._columns.table(self._calls.take(np.arange(calls[place], calls[place + 1]))),
                self._bad[bisect_left(bad_us, start_us) : bisect_left(bad_us, end_us)],
                self._outcomes.slice(known[place], known[place + 1] - known[place]),
            )

    def outcomes(self) -> pa.Table:
        """All outcomes, ordered by time; the chunks hold the same rows."""
        return self._outcomes

    def _team(self, place: int, seed: int, target: int, days_us: Int64s, planted: list[Incident]) -> Calls:
        role = ROLES[place]
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, place + 1])))
        weight = role.weight / sum(one.weight for one in ROLES)
        smaller = FULL_SIZE / target
        tokens = smaller if role.id == over_budget.TEAM else 1.0
        count = max(1, round(target * _ORDINARY * weight))
        span = Span(self._start_us, self._end_us, count, tokens, pause=smaller)
        calls = draw_team(role, self._numbers, span, random)
        for plant, day_us in zip(PLANTS, days_us.tolist(), strict=True):
            if role.id == plant.TEAM:
                calls, incident = plant.plant(calls, Scene(day_us + plant.AT_MINUTE * MINUTE_US, self._numbers, random))
                planted.append(incident)
        return calls

    def _crossed(self, good: Calls, planted: list[Incident]) -> Iterator[Incident]:
        team = np.asarray(self._numbers.team_of_workload)[good.workload]
        for incident in planted:
            if incident.alert_kind != "budget":
                yield incident
                continue
            own = good.take(team == self._numbers.team(incident.team))
            moment = over_budget.crossing(own, moment_us(incident.starts_at))
            if moment is None:
                raise ValueError(
                    f"with this seed and size team {incident.team} does not reach {over_budget.HARD_TOKENS} tokens on "
                    f"{incident.starts_at:%Y-%m-%d}: take another seed, or more events than {len(good)}"
                )
            yield over_budget.with_crossing(incident, moment)

    def _expect(self, good: Calls, spoiled: Calls, duplicates: int) -> Expected:
        codes: Counter[RejectionCode] = Counter(one.code for one in self._bad)
        codes.update(ROW_FAULTS[fault - 1] for fault in spoiled.fault.tolist())
        team = np.asarray(self._numbers.team_of_workload)[good.workload]
        unpriced: Bools = (good.model == self._numbers.models.index(PROTOTYPE)) & ~good.gateway_hit
        rejected = len(spoiled) + len(self._bad)
        return Expected(
            sent=len(good) + duplicates + rejected,
            accepted=len(good),
            duplicates=duplicates,
            rejected=rejected,
            rejected_by_code=tuple(sorted(codes.items())),
            unattributed=int((team == self._numbers.team(NOBODY.id)).sum()),
            conflicts=int(((good.claim >= 0) & (good.claim != team)).sum()),
            unpriced=int(unpriced.sum()),
            input_tokens=int(good.input.sum()),
            cache_read_tokens=int(good.cache_read.sum()),
            output_tokens=int(good.output.sum()),
            outcomes=self._outcomes.num_rows,
        )


def _joined(teams: list[Calls]) -> Calls:
    """All teams' calls with call and session numbers that are unique among them."""
    calls = sessions = 0
    parts = []
    for team in teams:
        retry_of = np.where(team.retry_of < 0, -1, team.retry_of + calls)
        parts.append(team.with_columns(call=team.call + calls, retry_of=retry_of, session=team.session + sessions))
        calls += int(team.call.max()) + 1
        sessions += int(team.session.max()) + 1
    return concat(parts)
