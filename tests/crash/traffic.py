"""In: a seed. Out: an endless, repeatable input: messages in all framings, with resends, conflicts and garbage.

The n-th message is the same for the same seed, whenever it is sent. Event time goes on by a few seconds an event, so
that days begin and end; some events come hours or a day late. Every few thousand messages one partition falls silent
for a while.
"""

from __future__ import annotations

import json
import random
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.crash.company import BEGIN_US, CREDENTIALS, DAY_US, UNPRICED_MODEL
from tests.crash.oracle import Event, Garbage
from tests.support.enrich import avro_batch, avro_value, json_value

#: Event time that passes with each event.
_STEP_US: Final = 7_000_000
#: How many of the newest accepted events a resend or a conflict is drawn from.
_REMEMBERED: Final = 4_000
_QUIET_EVERY: Final = 9_000
_QUIET_FOR: Final = 4_500
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """One message and what it says. `topic`: events or outcomes."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    content: Sequence[Event] | Garbage


class Traffic:
    """`next()` gives one message after another; `begin(label)` names the ids that follow; `close()` ends a stretch."""

    def __init__(self, seed: int, partitions: int) -> None:
        self._rng = random.Random(f"traffic {seed}")
        self._partitions = partitions
        self._label = "g"
        self._number = self._messages = 0
        self._now_us = BEGIN_US
        self._recent: dict[int, deque[Event]] = {number: deque(maxlen=_REMEMBERED) for number in range(partitions)}

    def begin(self, label: str) -> None:
        """Ids of new events begin with `label`, which has no dash."""
        self._label = label

    def next(self) -> Sent:
        rng, self._messages = self._rng, self._messages + 1
        partition = rng.randrange(self._partitions)
        if partition == self._partitions - 1 and self._messages % _QUIET_EVERY > _QUIET_EVERY - _QUIET_FOR:
            partition = 0
        draw = rng.random()
        if draw < 0.006:
            return self._garbage(partition)
        if draw < 0.026:
            return self._outcome()
        count = rng.randint(2, 12) if draw > 0.85 else 1
        events = [self._event(partition) for _ in range(count)]
        return self._message(partition, events, as_json=rng.random() < 0.5)

    def close(self) -> list[Sent]:
        """One event to each partition at the next noon: every period that has begun before is over, none ends near."""
        self._now_us += DAY_US - (self._now_us - BEGIN_US) % DAY_US
        return [
            self._message(partition, [self._new(partition) | {"occurred_at": self._now_us}], as_json=True)
            for partition in range(self._partitions)
        ]

    def _message(self, partition: int, events: list[Event], *, as_json: bool) -> Sent:
        # Avro cannot leave out a required field.
        if as_json or any("model" not in event for event in events):
            value = json_value(events[0]) if len(events) == 1 else json.dumps({"events": events}).encode()
        else:
            value = avro_value(events[0]) if len(events) == 1 else avro_batch(events)
        return Sent("events", partition, events[0]["event_id"].encode(), value, events)

    def _event(self, partition: int) -> Event:
        draw, recent = self._rng.random(), self._recent[partition]
        if recent and draw < 0.06:
            return recent[self._rng.randrange(len(recent))]
        if recent and draw < 0.07:
            known = recent[self._rng.randrange(len(recent))]
            return known | {"output_tokens": known["output_tokens"] + 1}
        event = self._new(partition)
        if draw < 0.075:
            return event | {"input_tokens": -1}
        if draw < 0.08:
            return event | {"cache_read_tokens": event["input_tokens"] + 1}
        if draw < 0.085:
            return {name: value for name, value in event.items() if name != "model"}
        recent.append(event)
        return event

    def _new(self, partition: int) -> Event:
        rng = self._rng
        self._now_us += _STEP_US
        late_us = rng.randrange(_HOUR_US, 36 * _HOUR_US) if rng.random() < 0.02 else rng.randrange(60_000_000)
        tokens = rng.randint(200, 2_000)
        event: Event = {
            "event_id": self._id(partition),
            "source": f"gateway-{rng.randrange(3)}",
            "occurred_at": self._now_us - late_us,
            "model": rng.choices(("crash-small", "crash-large", UNPRICED_MODEL), (50, 45, 5))[0],
            "input_tokens": tokens,
            "output_tokens": rng.randint(1, 600),
            "stage": rng.choice(("production", "production", "exploratory")),
            "use_case": rng.choice(("triage", "search", "drafts")),
        }
        sender = rng.random()
        if sender < 0.9:
            event["credential_id"] = rng.choice(tuple(CREDENTIALS))
        elif sender < 0.97:
            event["team_id"] = rng.choice(("team-1", "team-3", "team-that-nobody-knows"))
        if rng.random() < 0.3:
            event["cache_read_tokens"] = rng.randint(1, tokens)
        if rng.random() < 0.15:
            event["project_id"] = "atlas"
        return event

    def _id(self, partition: int) -> str:
        """The next id whose home is `partition`, by the rule that producers follow."""
        self._number += 1
        attempt = 0
        while zlib.crc32(name := f"{self._label}-{self._number}.{attempt}".encode()) % self._partitions != partition:
            attempt += 1
        return name.decode()

    def _garbage(self, partition: int) -> Sent:
        good = self._new(partition)
        value, code = self._rng.choice(
            (
                (b"\xff\xfe nothing that anybody speaks", "unknown_framing"),
                (b"", "empty"),
                (json_value(good)[:-5], "bad_json"),
                (avro_value(good)[: self._rng.randint(3, 9)], "truncated"),
                (avro_value(good)[:-3], None),
            )
        )
        return Sent("events", partition, good["event_id"].encode(), value, Garbage(code))

    def _outcome(self) -> Sent:
        partition = self._rng.randrange(self._partitions)
        outcome: Event = {
            "outcome_id": self._id(partition),
            "source": "tracker",
            "occurred_at": self._now_us,
            "team_id": "team-0",
            "use_case": "triage",
            "kind": "ticket_resolved",
            "succeeded": self._rng.random() < 0.8,
            "cycle_time_s": float(self._rng.randint(1, 900)),
        }
        if self._rng.random() < 0.2:
            outcome["cycle_time_s"] = -1.0
        return Sent("outcomes", partition, outcome["outcome_id"].encode(), json_value(outcome), [outcome])
