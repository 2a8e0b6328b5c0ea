"""In: nothing. Out: the values that pass through enrich: a batch as it was read, what is known of a partition, the
result.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.positions import LedgerRow, SourceRange
from schemas.rejections import Rejection
from streams.enrich.dedupe import Fingerprints, Window
from streams.enrich.groups import Index
from streams.enrich.source_rows import SourceRows
from streams.enrich.tally import Tallies


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """Messages of some input partitions, ordered by partition and offset; all four columns have one length.

    `ranges` names each partition once, with the offsets [first, next) that its messages cover. `control`: position of
    the control log that a predecessor began this batch by; None: the newest. `stopped`: the predecessor was stopped by
    what this batch refuses (see `streams.enrich.reject_limit`). `unkeyed`: places of the messages without a key.
    """

    values: list[bytes | None]
    partition: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    append_us: npt.NDArray[np.int64]
    ranges: tuple[SourceRange, ...]
    unkeyed: Index = field(default_factory=lambda: np.zeros(0, np.intp))
    control: int | None = None
    stopped: bool = False


@dataclass(slots=True)
class PartitionState:
    """What enrich remembers of one input partition; all of it comes back from Kafka after a restart.

    `position`: next offset to be enriched. `intended`: end of the range whose intent is written and whose outputs may
    be half written. `greatest_us`: greatest event time so far. `repeat`: the batch that a predecessor began and may not
    have finished; it is enriched before anything else.
    """

    position: int
    window: Window
    greatest_us: int | None = None
    newest_append_us: int | None = None
    intended: int | None = None
    repeat: SourceBatch | None = None


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """What became of one source range."""

    range: SourceRange
    ledger: LedgerRow
    block: pa.Table
    fingerprints: Fingerprints
    greatest_us: int | None
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Conflicts:
    """How many events made a claim that lost against the documents, by what they claimed."""

    team: int = 0
    use_case: int = 0
    stage: int = 0


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Everything that one batch has to write; nothing of it has been remembered yet."""

    partitions: tuple[PartitionResult, ...]
    tallies: Tallies
    sources: SourceRows
    control: int
    unpriced: int = 0
    conflicts: Conflicts = Conflicts()
    unknown_fields: int = 0
    unkeyed: int = 0
