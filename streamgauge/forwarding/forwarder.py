"""In: a member of the group on `governance.alerts`, and Alertmanager. Out: each state change posted there once it is
committed on the topic, in order, at least once; open alerts posted again before they are forgotten there.

When this process is given the partition:
1. read what was told up to the committed place: which alerts are open, under which labels. A crash changes nothing.
2. where nothing was committed, commit the end: what is over is not news. A crash after it begins at 1 from there.
Then over and over:
3. take state changes.
4. post them, and wait while Alertmanager is away. A crash before it reads them again; one after it posts them again,
   with the same labels and times, which Alertmanager takes for the same alert.
5. commit. A crash after it loses nothing and repeats nothing.
6. once the end was reached: post every open alert that was not posted since 1, or `repost_s` ago. With nothing open an
   empty list shows that somebody is there. A crash after it posts them again. Not before the end: what is over by then
   would be told as firing once more.

An alert that Alertmanager refuses for its content is put aside, with a line in the log, so that the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry

from runtime.clock import Clock, to_datetime
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import ForwardMetrics
from runtime.watermarks import is_transient
from schemas.alerts import Alert
from streamgauge.alerts.reading import parse
from streamgauge.forwarding.alertmanager import Alertmanager, Away, Receiver, Refused
from streamgauge.forwarding.board import Board, Told
from streamgauge.forwarding.config import ForwardConfig
from streamgauge.forwarding.labels import as_posted
from streamgauge.forwarding.member import Member
from streamgauge.tail import Record, read_topic

_log = structlog.get_logger("forward")

#: State changes taken at once, and alerts in one request.
_BATCH: Final = 200


class _Interrupted(Exception):
    """The partition changed hands, or the process was told to stop: what was in hand is repeated by whoever is next."""


class Forwarder:
    """`receiver` None: the Alertmanager of the settings."""

    def __init__(
        self,
        config: ForwardConfig,
        connection: KafkaConnection,
        topic: str,
        clock: Clock,
        halt: threading.Event,
        registry: CollectorRegistry,
        health: Health,
        receiver: Receiver | None = None,
    ) -> None:
        self._config, self._connection, self._topic = config, connection, topic
        self._clock, self._halt, self._health = clock, halt, health
        self._metrics = ForwardMetrics(registry)
        self._receiver = receiver or Alertmanager(config)
        self._member = Member(connection, topic, config.group, health)
        self._board = Board(send_info=config.send_info)
        #: Generation of the member that the board was made for.
        self._loaded = -1
        self._uncommitted: int | None = None
        self._heard_at: float | None = None

    def run(self) -> None:
        """Until told to stop. Raises KafkaException and OffsetsLost for what waiting does not mend."""
        try:
            while not self._halt.is_set():
                try:
                    self._turn()
                except _Interrupted:
                    continue
                except KafkaException as error:
                    if not is_transient(error.args[0]):
                        raise
                    self._wait_for_kafka(error.args[0].str())
                except TimeoutError as error:
                    self._wait_for_kafka(str(error))
        finally:
            self._member.close()

    def _turn(self) -> None:
        if not self._member.holds:
            self._member.consume(1, self._config.poll_s)
            self._stand_by()
            return
        if self._loaded != self._member.generation:
            self._load()
        messages = self._member.consume(_BATCH, self._config.poll_s)  # 3
        if self._loaded != self._member.generation:
            return
        records = [Record(one.offset() or 0, one.key(), one.value()) for one in messages]
        self._forward(records)  # 4
        if records:
            self._uncommitted = records[-1].offset + 1
        if self._uncommitted is not None and self._commit(self._uncommitted):  # 5
            self._uncommitted = None
            self._health.progress()
        if self._member.at_end and self._uncommitted is None:
            self._repost()  # 6
            self._health.ready(True)
            if not records:
                self._health.idle()

    def _load(self) -> None:
        """Steps 1 and 2."""
        generation = self._member.generation
        committed = self._member.committed()
        board, place = Board(send_info=self._config.send_info), self._member.bounds()[0]
        for record in read_topic(self._connection, self._topic):  # 1
            if committed is not None and record.offset >= committed:
                break
            place = record.offset + 1
            alert = self._parsed(record, counted=False)
            if alert is not None:
                board.take(alert)
        place = place if committed is None else committed
        if committed is None and not self._commit(place):  # 2
            raise _Interrupted
        self._board, self._uncommitted, self._heard_at = board, None, None
        self._member.start_at(place)
        self._loaded = generation
        self._show()
        _log.info("forward.begins", offset=place, open=len(board), first_time=committed is None)

    def _forward(self, records: Sequence[Record]) -> None:
        """Every state change in order; one request holds no alert twice, so that none of its states is lost in it."""
        together: list[Told] = []
        for record in records:
            alert = self._parsed(record, counted=True)
            if alert is None:
                continue
            verdict, told = self._board.take(alert)
            if told is None:
                self._metrics.states.labels(verdict).inc()
                continue
            if any(one.alert.alert_id == alert.alert_id for one in together):
                self._news(together)
                together = []
            together.append(told)
        if together:
            self._news(together)
        self._show()

    def _news(self, told: Sequence[Told]) -> None:
        taken = self._deliver(told)
        for one in taken:
            self._metrics.states.labels("posted").inc()
            behind = self._now() - one.alert.evaluated_at
            self._metrics.delay_seconds.observe(max(0.0, behind.total_seconds()))
            _log.info(
                "forward.posted",
                alert_id=one.alert.alert_id,
                state=one.alert.state,
                revision=one.alert.revision,
                severity=one.alert.severity,
            )

    def _repost(self) -> None:
        now = self._clock.monotonic()
        due = self._board.due(now, self._config.repost_s)
        for first in range(0, len(due), _BATCH):
            self._deliver(due[first : first + _BATCH])
        if not due and (self._heard_at is None or now - self._heard_at >= self._config.repost_s):
            self._deliver([])

    def _deliver(self, told: Sequence[Told]) -> list[Told]:
        """Post until it is taken; gives what was, without what was put aside. _Interrupted when that is not ours any
        more.
        """
        generation, wait_s, waited = self._member.generation, self._config.retry_first_s, False
        while True:
            try:
                taken = self._attempt(told)
            except Away as error:
                waited = True
                self._metrics.posts.labels("waited").inc()
                self._health.failing(str(error))
                _log.warning("forward.waiting", why=str(error), alerts=len(told), again_in_s=round(wait_s, 1))
                self._wait(wait_s, generation)
                wait_s = min(wait_s * 2, self._config.retry_cap_s)
                continue
            now = self._clock.monotonic()
            self._heard_at = now
            for one in taken:
                self._board.posted(one, now)
            if waited:
                _log.info("forward.recovered", alerts=len(told))
            self._health.progress()
            return taken

    def _attempt(self, told: Sequence[Told]) -> list[Told]:
        """One request; where it is refused, one for each alert. Away."""
        try:
            self._post(told)
        except Refused as refused:
            if not told:
                # It does not take even an empty list, so it is no alert's fault.
                raise Away(f"{refused}: check forward.url, this does not look like Alertmanager") from refused
            if len(told) > 1:
                return [one for each in told for one in self._attempt([each])]
            self._attempt([])
            self._put_aside(told[0], refused)
            return []
        return list(told)

    def _post(self, told: Sequence[Told]) -> None:
        now, keep = self._now(), timedelta(seconds=self._config.keep_s)
        body = [as_posted(one.alert, one.labels, now, keep, self._config.dashboard_url) for one in told]
        try:
            with self._metrics.post_seconds.time():
                self._receiver.post(body)
        except Refused:
            self._metrics.posts.labels("refused").inc()
            raise
        self._metrics.posts.labels("ok").inc()

    def _put_aside(self, told: Told, why: Refused) -> None:
        self._board.put_aside(told)
        self._metrics.states.labels("put_aside").inc()
        _log.error(
            "forward.put_aside",
            alert_id=told.alert.alert_id,
            revision=told.alert.revision,
            why=str(why),
            consequence="nobody is told of this state; the alert's next one is tried again",
        )

    def _commit(self, offset: int) -> bool:
        return self._member.commit(offset)

    def _wait(self, seconds: float, generation: int) -> None:
        """Stay a member for so long. _Interrupted when told to stop, or when the partition changes hands."""
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            if self._halt.is_set():
                raise _Interrupted
            self._member.stay(min(left, self._config.poll_s))
            if self._member.generation != generation:
                raise _Interrupted

    def _wait_for_kafka(self, why: str) -> None:
        # What was in hand is read again.
        self._loaded = -1
        self._health.failing(f"Kafka does not answer: {why}")
        _log.warning("kafka.waiting", why=why)
        self._halt.wait(self._config.retry_first_s)

    def _stand_by(self) -> None:
        """Another process has the partition; before the first assignment nobody knows."""
        if self._member.holds or not self._member.generation:
            return
        self._health.ready(True)
        self._health.idle()
        self._metrics.open.set(0)

    def _show(self) -> None:
        self._metrics.open.set(len(self._board))

    def _now(self) -> datetime:
        return to_datetime(self._clock.now_us())

    def _parsed(self, record: Record, *, counted: bool) -> Alert | None:
        def unreadable(why: str) -> None:
            if counted:
                self._metrics.states.labels("unreadable").inc()
                _log.error("forward.unreadable", why=why)

        return parse(record, unreadable)
