"""In: what a role holds, and Kafka. Out: the role's health told what its groups' offsets do, its lag as metrics, and
all stacks on standard error when it stands still.

A thread with Kafka clients of its own, so that it sees a loop that hangs. Every few seconds:

1. look: the groups' committed offsets against the ends of the partitions held;
2. tell the health which of them stand still; while Kafka does not answer, nothing is told and nothing changes;
3. when that turns liveness red, dump the stacks of all threads, once until it is green again;
4. ask whether the topics are still what they were, and end the process if not (see `topic_guard`).

A role that holds the interpreter's lock stops this thread as well: then a timer outside the interpreter dumps.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from confluent_kafka import KafkaException

from runtime.admin import PartitionMismatch
from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.group_offsets import GroupOffsets
from runtime.health import Health
from runtime.metrics import HealthMetrics
from runtime.standstill import Place, Standstill, StandstillWatch
from runtime.topic_guard import TopicGuard, TopicReplaced

_log = structlog.get_logger("health")

LOOK_EVERY_S: Final = 5.0


class ProgressWatch:
    """Watches until `stop`. `groups`: which group reads a topic, by topic. `fatal` hears of topics that changed."""

    def __init__(
        self,
        connection: KafkaConnection,
        groups: Mapping[str, str],
        health: Health,
        metrics: HealthMetrics,
        clock: Clock,
        guard: TopicGuard,
        fatal: Callable[[Exception], None],
        every_s: float | None = None,
        timeout_s: float = 10.0,
        dump: Callable[[], None] | None = None,
    ) -> None:
        self._connection, self._groups = connection, dict(groups)
        self._guard, self._fatal = guard, fatal
        self._health, self._metrics, self._clock = health, metrics, clock
        self._every_s = min(LOOK_EVERY_S, health.stall_s / 4) if every_s is None else every_s
        self._timeout_s = timeout_s
        self._dump = dump or _dump_stacks
        metrics.live.set_function(lambda: float(health.liveness().ok))
        metrics.ready.set_function(lambda: float(health.readiness().ok))
        metrics.progress_age.set_function(health.progress_age_s)
        self._standstill = StandstillWatch(longest_step_s=3 * self._every_s)
        self._readers: dict[str, GroupOffsets] = {}
        self._shown: set[Place] = set()
        self._dumped = False
        self._blind = False
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._halt.set()
        self._thread.join(timeout=5)

    def look(self) -> None:
        """Steps 1 to 4, once."""
        try:
            standing = self._standing()  # 1
            self._guard.check()  # 4
        except (PartitionMismatch, TopicReplaced) as changed:
            _log.error("health.topics_changed", what=str(changed))
            self._fatal(changed)
            return
        except KafkaException as error:
            if not self._blind:
                _log.warning("health.blind", why=error.args[0].str())
            self._blind = True
            # A client that has seen its broker die may fail for minutes where a fresh one answers.
            self._forget_readers()
        else:
            self._blind = False
            self._tell(standing)  # 2
        self._judge()  # 3

    def _run(self) -> None:
        while not self._halt.wait(self._every_s):
            if sys.stderr is not None:
                # Wound up again at each look; it runs down only when this thread cannot run.
                faulthandler.dump_traceback_later(self._health.stall_s + 3 * self._every_s)
            try:
                self.look()
            except Exception:  # noqa: BLE001 - said in the log; the next look tries again
                # A watch that dies would leave the last verdict standing for ever.
                _log.exception("health.watch_failed")
        faulthandler.cancel_dump_traceback_later()
        self._forget_readers()

    def _forget_readers(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _standing(self) -> list[Standstill]:
        held = [
            Place(topic, partition)
            for leaf in self._health.leaves()
            for topic, partitions in leaf.holding().items()
            for partition in partitions
            if topic in self._groups
        ]
        looks = {}
        for group in sorted(set(self._groups.values())):
            places = [place for place in held if self._groups[place.topic] == group]
            if places:
                looks.update(self._reader(group).looks(places))
        return self._standstill.look(self._clock.monotonic(), looks, self._holds_record)

    def _holds_record(self, offsets: Mapping[Place, int]) -> dict[Place, bool]:
        found: dict[Place, bool] = {}
        for group in {self._groups[place.topic] for place in offsets}:
            mine = {place: offset for place, offset in offsets.items() if self._groups[place.topic] == group}
            found.update(self._reader(group).holds_record(mine))
        return found

    def _reader(self, group: str) -> GroupOffsets:
        if group not in self._readers:
            self._readers[group] = GroupOffsets(self._connection, group, self._timeout_s)
        return self._readers[group]

    def _tell(self, standing: list[Standstill]) -> None:
        for leaf in self._health.leaves():
            held = leaf.holding()
            if held:
                leaf.watched([one for one in standing if one.place.partition in held.get(one.place.topic, ())])
        lag = self._standstill.lag()
        for place in self._shown - lag.keys():
            self._metrics.lag.remove(place.topic, str(place.partition))
        for place, waiting in lag.items():
            self._metrics.lag.labels(place.topic, str(place.partition)).set(waiting)
        self._shown = set(lag)
        self._metrics.standing.set(max((one.still_s for one in standing), default=0.0))

    def _judge(self) -> None:
        alive = self._health.liveness()
        if alive.ok:
            if self._dumped:
                _log.info("health.live_again", reason=alive.reason)
            self._dumped = False
        elif not self._dumped:
            self._dumped = True
            _log.error("health.not_live", reason=alive.reason, stacks="of all threads follow")
            self._dump()


def _dump_stacks() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
        faulthandler.dump_traceback(all_threads=True)
