"""In: offsets to commit for the group. Out: the broker's answer: accepted, refused (PartitionsLost), or waited for.

The client's synchronous commit does not come back while the group's coordinator is away, so it is called in a thread of
its own: the loop stays able to say why it waits, and to end when it is told to. Within a rebalance callback nothing is
committed: the client may hold the commit back until the callback is over. A call that was not answered is left behind
only by a process that ends: answered later, under a new generation, it could move an offset backwards.
"""

from __future__ import annotations

import threading
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.watermarks import is_transient
from streams.enrich.patience import Patience, Wait

#: The group moved on without us: what we read is somebody else's now.
_LOST: Final = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError._NO_OFFSET,
    KafkaError._STATE,
)
#: An answer that takes longer is an outage; a process that is to stop waits for it this long as well.
_BUSY_S: Final = 3.0


class PartitionsLost(Exception):
    """The intent was refused: the batch at hand must be dropped, its new owner repeats it."""


class Commits:
    """One consumer's commits, one at a time."""

    def __init__(self, consumer: Consumer, patience: Patience) -> None:
        self._consumer = consumer
        self._patience = patience

    def write(self, offsets: list[TopicPartition], wait_s: float | None = None) -> None:
        """Commit. Raises PartitionsLost; KafkaException for an error or a silence that stays longer than `wait_s` (of
        a process that ends); Stopping, when told to stop in an outage.
        """
        wait = self._patience.begin("commit.waiting")
        while True:
            error = self._ask(offsets, wait, wait_s)
            if error is None:
                return
            if error.code() in _LOST:
                raise PartitionsLost(error.str())
            if not is_transient(error) or (wait_s is not None and wait.waited_s > wait_s):
                raise KafkaException(error)
            wait.pause(error.str() or "the commit is not answered")

    def _ask_here(self, offsets: list[TopicPartition]) -> KafkaError | None:
        """One attempt, in this thread."""
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            refused: KafkaError = error.args[0]
            return refused
        return next((one.error for one in answers or [] if one.error is not None), None)

    def _ask(self, offsets: list[TopicPartition], wait: Wait, wait_s: float | None) -> KafkaError | None:
        """One attempt: what the broker or the client objects."""
        answered = threading.Event()
        objections: list[KafkaError | BaseException] = []

        def commit() -> None:
            try:
                error = self._ask_here(offsets)
                objections.extend([] if error is None else [error])
            except BaseException as error:  # noqa: BLE001
                objections.append(error)
            finally:
                answered.set()

        threading.Thread(target=commit, name="commit", daemon=True).start()
        asked_at = wait.waited_s
        while not answered.wait(0.5):
            if wait_s is not None and wait.waited_s > wait_s:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the group's coordinator does not answer"))
            if wait.waited_s - asked_at > _BUSY_S:
                wait.going_on("the group's coordinator does not answer")
        objection = objections[0] if objections else None
        if isinstance(objection, BaseException):
            raise objection
        return objection
