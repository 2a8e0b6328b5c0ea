"""In: tally messages of one shard in log order. Out: alerts on its sources; and what must be remembered of them.

Messages are judged one by one, each by the clock that it moved, so any batching of the same log gives the same alerts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from schemas.positions import Mark
from schemas.tallies import UNREADABLE_SOURCE
from streams.agents.arrow_columns import is_null
from streams.agents.ingest.clock import IngestClock
from streams.agents.ingest.policy import IngestPolicy
from streams.agents.ingest.source import Source
from streams.agents.ingest.texts import quality_alert, quality_id, silence_alert, silence_id
from streams.agents.orphans import orphaned

#: Names of things that come and go by design: pods, containers, hosts by address, random ids.
_INSTANCE: Final = re.compile(
    r"[0-9a-f]{8,}|(\d{1,3}[.-]){3}\d{1,3}|-[a-z0-9]{5,10}-[a-z0-9]{5}$|[0-9a-f]{4}-[0-9a-f]{4}-", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Heard:
    """One message: its source rows as (source, broker minute, code, events), and the clock after it."""

    rows: tuple[tuple[str, int, str | None, int], ...]
    minute: int | None


class IngestWatch:
    """All sources that are at home in one shard."""

    def __init__(self, policy: IngestPolicy, input_partitions: int) -> None:
        self._policy = policy
        self.clock = IngestClock(input_partitions)
        self.sources: dict[str, Source] = {}
        self._heard: list[_Heard] = []
        #: Clock of the last message that was judged.
        self._judged: int | None = None
        self._changed: set[str] = set()

    def offer(self, partition: int, mark: Mark, tables: Sequence[pa.Table]) -> bool:
        """Take one message in log order. Whether it holds anything to be judged."""
        rows = tuple(row for table in tables for row in _source_rows(table))
        before = self.clock.minute
        self.clock.observe(partition, mark)
        if rows or self.clock.minute != before:
            self._heard.append(_Heard(rows, self.clock.minute))
        return bool(rows)

    def settle(self, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Judge what was offered."""
        alerts: list[Alert] = []
        for heard in self._heard:
            for name, minute, code, events in heard.rows:
                self._take(name, minute, code, events, alerts, control, now_us)
            if heard.minute is not None and heard.minute != self._judged:
                self._judged = heard.minute
                for name in sorted(self.sources):
                    self._judge(name, self.sources[name], heard.minute, alerts, control, now_us)
        self._heard.clear()
        return alerts

    def _take(
        self,
        name: str,
        minute: int,
        code: str | None,
        events: int,
        alerts: list[Alert],
        control: ControlSnapshot,
        now_us: int,
    ) -> None:
        source = self.sources.get(name)
        if source is None:
            source = self.sources[name] = Source(minute, minute)
        self._changed.add(name)
        since = source.last
        if source.take(minute, code, events, self._policy):
            alerts.append(silence_alert(name, source, "resolved", since, minute, control, now_us))

    def _judge(
        self, name: str, source: Source, minute: int, alerts: list[Alert], control: ControlSnapshot, now_us: int
    ) -> None:
        running = source.trouble
        change = source.close_window(minute, self._policy)
        quiet = minute - source.last
        if change is None and source.trouble is not None and quiet >= 1_440:
            change = "resolved"
        if change is not None and (trouble := source.trouble or running) is not None:
            if change == "resolved":
                trouble.revision += 1
                source.trouble = None
            self._changed.add(name)
            alerts.append(quality_alert(name, trouble, change, minute, control, now_us))
        patience = source.patience(self._policy)
        if patience is not None and quiet >= patience and not source.silent and self._is_known(name, control):
            source.silent = True
            self._changed.add(name)
            alerts.append(silence_alert(name, source, "firing", source.last, minute, control, now_us))
        if quiet >= self._policy.forget_minutes:
            if source.silent:
                alerts.append(silence_alert(name, source, "resolved", source.last, minute, control, now_us))
            del self.sources[name]
            self._changed.add(name)

    @staticmethod
    def _is_known(name: str, control: ControlSnapshot) -> bool:
        """Whether its absence would be missed: a name of its own, or one that the directory lists."""
        if name == UNREADABLE_SOURCE:
            return False
        return ("source", name) in control.senders or _INSTANCE.search(name) is None

    def reconcile(self, told: Mapping[str, Alert], now_us: int) -> list[Alert]:
        """After a rebuild: let what runs be what `told` (open alerts by id) says. What was never told begins anew.
        Returns the resolutions of alerts whose reason is not seen any more.
        """
        seen: set[str] = set()
        for name, source in sorted(self.sources.items()):
            if source.trouble is not None:
                one_id = quality_id(name, source.trouble.seen)
                seen.add(one_id)
                if one_id in told:
                    source.trouble.revision = told[one_id].revision
                else:
                    source.trouble = None
            if source.silent:
                one_id = silence_id(name, source.last)
                seen.add(one_id)
                source.silent = one_id in told
            self._changed.add(name)
        return [orphaned(alert, now_us) for one_id, alert in told.items() if one_id not in seen]

    def take_documents(self) -> dict[str, str | None]:
        """Sources that changed, as JSON by key; None: forgotten."""
        documents = {
            f"source/{name}": self.sources[name].dump() if name in self.sources else None for name in self._changed
        }
        self._changed.clear()
        return documents

    def documents(self) -> dict[str, str | None]:
        self._changed = set(self.sources)
        return self.take_documents()

    def positions(self) -> dict[str, object]:
        """Of the last settlement: what was offered since has to be offered again."""
        return {"known_us": {str(p): us for p, us in self.clock.known_us.items()}, "judged": self._judged}

    def restore(self, positions: Mapping[str, object] | None, documents: Mapping[str, str]) -> None:
        if positions is not None:
            known: dict[str, int] = positions["known_us"]  # type: ignore[assignment]
            self.clock.restore({int(partition): us for partition, us in known.items()})
            self._judged = positions["judged"]  # type: ignore[assignment]
        for key, text in documents.items():
            kind, _, name = key.partition("/")
            if kind == "source":
                self.sources[name] = Source.load(text)


def _source_rows(table: pa.Table) -> list[tuple[str, int, str | None, int]]:
    """(source, broker minute, code, events), in an order that does not depend on the writer's."""
    sources = table["source"]
    if sources.null_count == len(sources):
        return []
    rows = table.select(["source", "minute", "rejection_code", "calls"]).filter(pa.array(~is_null(sources)))
    found = zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True)
    return sorted(found, key=lambda row: (row[1], row[0], row[2] or ""))
