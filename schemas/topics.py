"""In: a prefix and two partition counts. Out: every topic: its configuration, and the roles that read and write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["producer", "enrich", "agents", "sink", "ops", "gateway", "check", "forward", "admin"]
#: Which of the three fixed counts a topic's partitions follow.
Count = Literal["events", "tallies", "one"]

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. `retention_ms` None: kept by compaction. `purpose` is a sentence for people.

    `keeps_history_ms`: how long compaction leaves superseded records alone.
    """

    name: str
    count: Count
    retention_ms: int | None
    compacted: bool
    append_time: bool
    writers: tuple[Role, ...]
    readers: tuple[Role, ...]
    purpose: str
    keeps_history_ms: int = 0

    def config(self) -> dict[str, str]:
        """The topic's Kafka configuration."""
        config = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(-1 if self.retention_ms is None else self.retention_ms),
            "max.message.bytes": "1048588",
        }
        if self.append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        if self.keeps_history_ms:
            config["min.compaction.lag.ms"] = str(self.keeps_history_ms)
        return config


SPECS: Final = (
    TopicSpec("usage.events", "events", 7 * DAY_MS, False, True, ("producer",), ("enrich",),
              "Usage events as their callers send them."),
    TopicSpec("usage.outcomes", "events", 30 * DAY_MS, False, True, ("producer",), ("sink",),
              "What the calls achieved."),
    TopicSpec("usage.enriched", "events", 7 * DAY_MS, False, False, ("enrich",), ("sink",),
              "Accepted events with team and price, as Arrow blocks with a ledger row."),
    TopicSpec("usage.tallies", "tallies", 7 * DAY_MS, False, False, ("enrich",), ("agents",),
              "Sums per team and budget, with the watermark of their input partition."),
    TopicSpec("usage.rejected", "one", 14 * DAY_MS, False, False, ("enrich", "sink"), ("sink", "ops"),
              "Refused events with code, sentence and raw bytes. Restricted: raw bytes may hold anything."),
    TopicSpec("usage.fingerprints", "events", 2 * DAY_MS, False, False, ("enrich",), ("enrich",),
              "Hashes of the event ids of each batch: the dedupe window's log."),
    TopicSpec("usage.state", "tallies", None, True, False, ("agents",), ("agents",),
              "Checkpoints of the agents."),
    TopicSpec("governance.alerts", "one", 90 * DAY_MS, False, False, ("agents",),
              # Who says something of an alert, or plans an activity, looks at what was told.
              ("agents", "ops", "sink", "forward", "admin"),
              "One alert per crossing or episode, with its cause, and its resolution."),
    TopicSpec("governance.status", "one", None, True, False, ("agents",),
              ("agents", "gateway", "check", "ops", "sink", "admin"),
              "What each budget stands at, how much is governed; the newest record of a key rules."),
    TopicSpec("governance.status.users", "one", None, True, False, ("agents",),
              # Agents read it for `rebuild` alone.
              ("agents", "gateway", "check"),
              "Status of budgets whose scope is one person: narrower access."),
    TopicSpec("usage.adjustments", "one", 3_650 * DAY_MS, False, False, ("admin",), ("agents", "sink", "ops"),
              "Corrections of what was counted: prices that came later, resends that were counted twice."),
    TopicSpec("governance.control", "one", None, True, False, ("admin",), ("enrich", "agents", "sink", "check", "ops"),
              "Directory, use cases, models, budgets, policies, decisions and prices, as applied.",
              # A batch that was begun under older documents is repeated under the same ones.
              keeps_history_ms=7 * DAY_MS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Topics:
    """The names and partition counts of one installation: one prefix (and one database) per legal entity."""

    prefix: str = ""
    event_partitions: int = 12
    tally_partitions: int = 16

    def name(self, base: str) -> str:
        """The full name of a topic; KeyError for one that is not in SPECS."""
        if base not in {spec.name for spec in SPECS}:
            raise KeyError(base)
        return f"{self.prefix}{base}"

    def partitions(self, spec: TopicSpec) -> int:
        return {"events": self.event_partitions, "tallies": self.tally_partitions, "one": 1}[spec.count]

    @property
    def events(self) -> str:
        return self.name("usage.events")

    @property
    def outcomes(self) -> str:
        return self.name("usage.outcomes")

    @property
    def enriched(self) -> str:
        return self.name("usage.enriched")

    @property
    def tallies(self) -> str:
        return self.name("usage.tallies")

    @property
    def rejected(self) -> str:
        return self.name("usage.rejected")

    @property
    def fingerprints(self) -> str:
        return self.name("usage.fingerprints")

    @property
    def state(self) -> str:
        return self.name("usage.state")

    @property
    def alerts(self) -> str:
        return self.name("governance.alerts")

    @property
    def status(self) -> str:
        return self.name("governance.status")

    @property
    def status_users(self) -> str:
        return self.name("governance.status.users")

    @property
    def adjustments(self) -> str:
        return self.name("usage.adjustments")

    @property
    def control(self) -> str:
        return self.name("governance.control")
