"""In: settlements of one shard. Out: kept, all of one or nothing, by whoever owns the shard; and read back.

Two stores honour this contract and run the same test suite: `KafkaStateStore` and, for tests, `MemoryStateStore`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from streams.agents.shard import Settlement
from streams.agents.tally_message import TallyMessage


class Fenced(RuntimeError):
    """Kafka takes no more from this store: another process owns the shard, or a transaction of ours was given up after
    a crash of Kafka's. Nothing of the refused settlement was written; the group tells which of the two it is.
    """


class StoreBroken(RuntimeError):
    """The client of the store is of no use any more, and nobody else owns the shard: it is opened again from what
    stands. Whether the settlement was written is seen there.
    """


class StoreStopped(RuntimeError):
    """The store was asked to stop while it waited for Kafka: whether the settlement was written is not known here.

    The next owner reads what stands, so nothing is lost or written twice.
    """


class TalliesLost(RuntimeError):
    """What the agents have to go on from does not stand any more. The message says which command mends it."""


class StateStore(Protocol):
    """State of one shard. Blocks; waits out outages with capped backoff. Not thread-safe."""

    def open(self) -> Mapping[str, bytes]:
        """Take ownership, shutting out whoever had it, and read every record that stands, by key."""

    def commit(self, settlement: Settlement) -> None:
        """Write state, alerts and statuses in one transaction. Raises Fenced, StoreBroken or StoreStopped."""

    def close(self) -> None:
        """Give back what was opened. Writes nothing."""


class TallyLog(Protocol):
    """Direct reading of `usage.tallies`, beside the group's own. Blocks; waits out outages."""

    def read(self, partition: int, first: int, until: int) -> Iterator[TallyMessage]:
        """Messages with offsets in [first, until), in order. TalliesLost when `first` does not stand any more."""

    def beginning(self, partition: int) -> int:
        """The first offset that still stands."""

    def traces(self, partition: int) -> str | None:
        """What shows that agents have worked on this partition before, as half a sentence; None: nothing does."""


#: Makes the store of one shard.
StoreFactory = Callable[[int], StateStore]
