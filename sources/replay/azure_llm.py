"""In: a CSV of Azure's public LLM inference traces. Out: its calls, in file order, with times exact to the microsecond.

Columns `TIMESTAMP,ContextTokens,GeneratedTokens`. The 2023 files write UTC times with seven decimals (100 ns; the
digit below a microsecond is cut off), the 2024 files with six and `+00:00`. Source: Azure/AzurePublicDataset (CC-BY
4.0), Patel et al., "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.usage import MAX_TOKENS
from sources.errors import TraceError
from sources.replay.chunk import CHUNK_ROWS, Calls, Int64s

HEADER: Final = "TIMESTAMP,ContextTokens,GeneratedTokens"
_TIME: Final = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,9})?$"
_COUNT: Final = r"^\d{1,9}$"


def read_azure_llm(path: Path) -> Iterator[Calls]:
    """The calls in chunks. Raises TraceError for the first line that is not a time and two counts."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        header = file.readline().rstrip("\r\n").removeprefix("\ufeff")
        if header != HEADER:
            raise TraceError(str(path), 1, f"the header is {header[:80]!r}, an Azure LLM trace has {HEADER!r}")
        row = 0
        while lines := [line.rstrip("\r\n") for line in islice(file, CHUNK_ROWS)]:
            yield _calls(path, row, lines)
            row += len(lines)


def _calls(path: Path, row: int, lines: list[str]) -> Calls:
    fields = [line.split(",") for line in lines]
    for place, found in enumerate(fields):
        if len(found) != 3:
            raise TraceError(
                str(path), row + place + 2, f"{lines[place][:80]!r} has {len(found)} fields, three are wanted"
            )
    times, contexts, generated = zip(*fields, strict=True)
    return Calls(
        row,
        _times(path, row, times),
        _counts(path, row, "ContextTokens", contexts),
        _counts(path, row, "GeneratedTokens", generated),
    )


def _times(path: Path, row: int, texts: tuple[str, ...]) -> Int64s:
    column = pc.replace_substring_regex(pa.array(texts), r"(\+00:00|Z)$", "")
    _all_match(path, row, column, _TIME, "TIMESTAMP", "a time like 2023-11-16 18:15:46.6805900")
    try:
        parsed = column.cast(pa.timestamp("ns"))
    except pa.ArrowInvalid:
        for place, text in enumerate(column.to_pylist()):
            try:
                pa.scalar(text).cast(pa.timestamp("ns"))
            except pa.ArrowInvalid as error:
                raise TraceError(str(path), row + place + 2, f"TIMESTAMP {text!r} is no date that exists") from error
        raise
    nanoseconds: Int64s = parsed.cast(pa.int64()).to_numpy()
    return nanoseconds // 1_000


def _counts(path: Path, row: int, name: str, texts: tuple[str, ...]) -> Int64s:
    column = pa.array(texts)
    _all_match(path, row, column, _COUNT, name, "a whole number of tokens")
    counts: Int64s = column.cast(pa.int64()).to_numpy()
    if (too_many := np.flatnonzero(counts > MAX_TOKENS)).size:
        place = int(too_many[0])
        raise TraceError(
            str(path), row + place + 2, f"{name} {counts[place]} is more than {MAX_TOKENS} tokens in one call"
        )
    return counts


def _all_match(path: Path, row: int, column: pa.Array, pattern: str, name: str, wanted: str) -> None:
    good = pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
    if not good.all():
        place = int(np.flatnonzero(~good)[0])
        raise TraceError(str(path), row + place + 2, f"{name} {column[place].as_py()[:80]!r} is not {wanted}")
