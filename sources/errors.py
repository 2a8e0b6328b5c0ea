"""In: what went wrong between a source and Kafka. Out: named errors whose message says what to do."""

from __future__ import annotations


class SourceError(RuntimeError):
    """Base of what a source raises about Kafka or about a file it reads."""


class KafkaUnreachable(SourceError):
    """No broker answered in time."""

    def __init__(self, bootstrap: str, waited_s: float, cause: str) -> None:
        super().__init__(
            f"no Kafka broker at {bootstrap} answered within {waited_s:g} s ({cause}): "
            "check the address and that the broker runs"
        )


class TopicMissing(SourceError):
    """The topic does not exist."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"the topic {topic!r} does not exist: create the topics with `streamgauge topics`")
        self.topic = topic


class DeliveryError(SourceError):
    """Events that Kafka did not acknowledge. `failed` were refused or timed out, `dropped` never left a full queue."""

    def __init__(self, topic: str, failed: int, dropped: int, cause: str) -> None:
        self.topic, self.failed, self.dropped, self.cause = topic, failed, dropped, cause
        lost = []
        if failed:
            lost.append(f"{failed} events were not acknowledged by Kafka")
        if dropped:
            lost.append(f"{dropped} events were dropped because the queue was full")
        super().__init__(
            f"topic {topic}: {' and '.join(lost)}; the last cause was: {cause}. "
            "Send them again with the same event ids: resends are counted once"
        )


class TraceError(SourceError):
    """A line of a trace file cannot be read; nothing behind it was sent."""

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}; correct or remove the line and replay again")
        self.path, self.line = path, line
