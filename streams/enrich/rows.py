"""In: a decoded batch. Out: its rows with their source positions, before any was refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.decoding import Decoded
from streams.enrich.batch import SourceBatch


@dataclass(frozen=True, slots=True)
class Rows:
    """All have one length. `index` is the event's place in its message, `message` the message's place in the batch."""

    table: pa.Table
    partition: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    index: npt.NDArray[np.int32]
    append_us: npt.NDArray[np.int64]
    message: npt.NDArray[np.int32]

    @classmethod
    def of(cls, decoded: Decoded, batch: SourceBatch) -> Rows:
        message = decoded.message
        return cls(
            decoded.table,
            batch.partition[message],
            batch.offset[message],
            decoded.index,
            batch.append_us[message],
            message,
        )
