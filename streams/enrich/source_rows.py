"""In: which events of a batch passed, and the rejections of the others. Out: the source rows of a tally: how many
events each source sent per broker minute, by rejection code.

Passed events, resends included, are counted by dictionary codes; refused ones are few and already have a record each.
A row's broker minute is that of its message, so a repeat of the batch counts the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.rejections import Rejection
from schemas.tallies import MEASURES, UNREADABLE_SOURCE
from streams.enrich.columns import Ints
from streams.enrich.groups import Names

_MINUTE_US: Final = 60_000_000
#: Up to so many groups per event are counted in a table of all possible ones; beyond that keys are sorted.
_DENSE: Final = 4


@dataclass(frozen=True, slots=True)
class SourceRows:
    """One row per input partition, source, broker minute and rejection code, ordered by input partition.

    `source` are places in `names`, which ascend; `minute` is in minutes since the epoch; `code` is None for events that
    passed; `calls` counts events.
    """

    partition: Ints
    names: list[str]
    source: Ints
    minute: Ints
    codes: list[str | None]
    calls: Ints

    def __len__(self) -> int:
        return len(self.calls)

    def sums(self) -> Ints:
        """Measures × rows, in the order of MEASURES."""
        sums = np.zeros((len(MEASURES), len(self)), np.int64)
        sums[MEASURES.index("calls")] = self.calls
        return sums


def source_rows(
    partition: npt.NDArray[np.int32],
    source: pa.ChunkedArray,
    append_us: Ints,
    passed: npt.NDArray[np.bool_],
    rejections: Sequence[Rejection],
) -> SourceRows:
    """Count the rows of a batch (the first four arguments have one length) and its `rejections`."""
    places = None if passed.all() else np.flatnonzero(passed)
    encoded = Names.of(source if places is None else source.take(pa.array(places)))
    if places is not None:
        partition, append_us = partition[places], append_us[places]
    of, codes, minutes, calls = _count(partition, encoded.codes, append_us // _MINUTE_US)
    texts = [encoded.texts[code] or UNREADABLE_SOURCE for code in codes.tolist()]
    rows: list[tuple[int, str, int, str, int]] = [
        (*where, "", count) for *where, count in zip(of.tolist(), texts, minutes.tolist(), calls.tolist(), strict=True)
    ]
    refused = Counter(
        (one.partition, one.source or UNREADABLE_SOURCE, one.appended_at_us // _MINUTE_US, one.code)
        for one in rejections
    )
    rows += [(*key, count) for key, count in refused.items()]
    rows.sort()
    names = sorted({name for _, name, _, _, _ in rows})
    place = {name: number for number, name in enumerate(names)}
    return SourceRows(
        np.array([row[0] for row in rows], np.int64),
        names,
        np.array([place[row[1]] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int64),
        [row[3] or None for row in rows],
        np.array([row[4] for row in rows], np.int64),
    )


def _count(partition: npt.NDArray[np.int32], source: Ints, minute: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Partition, source, minute and count of each group that occurs."""
    if len(partition) == 0:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing, nothing
    # Partitions ascend; few of the numbers between them may occur, and there are at most as many as rows.
    first, sources, least = int(partition[0]), int(source.max()) + 1, int(minute.min())
    minutes = int(minute.max()) - least + 1
    keys = ((partition.astype(np.int64) - first) * sources + source) * minutes + (minute - least)
    if (int(partition[-1]) - first + 1) * sources * minutes <= _DENSE * len(keys):
        counts = np.bincount(keys)
        groups = np.flatnonzero(counts)
        counts = counts[groups]
    else:
        groups, counts = np.unique(keys, return_counts=True)
    pairs, at = np.divmod(groups, minutes)
    of, code = np.divmod(pairs, sources)
    return of + first, code, at + least, counts.astype(np.int64)
