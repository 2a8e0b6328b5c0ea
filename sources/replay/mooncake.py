"""In: Mooncake's conversation trace, one JSON object a line. Out: its calls, with what a provider's prompt cache
would have read.

`hash_ids` name the prompt's blocks of 512 tokens; an id stands for its block and all before it, so a leading run of ids
that were seen earlier in the trace is a prefix that can be read from cache. The rule here is a cache without limit:
cache_read_tokens = min(512 · length of that run, input_length). Times are milliseconds from the start of the trace.
Source: kvcache-ai/Mooncake, FAST'25 release (Apache-2.0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.control.base import moment_us
from schemas.usage import MAX_TOKENS
from sources.errors import TraceError
from sources.replay.chunk import CHUNK_ROWS, Calls, TraceReader

BLOCK_TOKENS: Final = 512
#: A year: a relative time beyond it is in another unit.
_MAX_MS: Final = 366 * 86_400_000


def mooncake_reader(start: datetime) -> TraceReader:
    """A reader that dates the trace's time 0 at `start`."""
    return partial(_read, moment_us(start))


def _read(start_us: int, path: Path) -> Iterator[Calls]:
    seen: set[int] = set()
    row = 0
    with path.open("rb") as file:
        while lines := list(islice(file, CHUNK_ROWS)):
            yield _calls(path, row, lines, start_us, seen)
            row += len(lines)


def _calls(path: Path, row: int, lines: list[bytes], start_us: int, seen: set[int]) -> Calls:
    times, inputs, outputs, reads = (np.empty(len(lines), np.int64) for _ in range(4))
    prefixes: list[str | None] = []
    for place, line in enumerate(lines):
        at = (str(path), row + place + 1)
        try:
            call = json.loads(line)
        except ValueError as error:
            raise TraceError(*at, f"it is not JSON: {error}") from error
        if not isinstance(call, dict):
            raise TraceError(*at, "it is not a JSON object")
        times[place] = start_us + _whole(at, call, "timestamp", _MAX_MS) * 1_000
        inputs[place] = _whole(at, call, "input_length", MAX_TOKENS)
        outputs[place] = _whole(at, call, "output_length", MAX_TOKENS)
        ids = call.get("hash_ids")
        if not isinstance(ids, list) or not all(type(one) is int for one in ids):
            raise TraceError(*at, "hash_ids is not a list of whole numbers")
        run = next((length for length, one in enumerate(ids) if one not in seen), len(ids))
        seen.update(ids)
        reads[place] = min(BLOCK_TOKENS * run, inputs[place])
        prefixes.append(f"mooncake-block-{ids[run - 1]}" if run else None)
    return Calls(row, times, inputs, outputs, reads, prefixes)


def _whole(at: tuple[str, int], call: dict[str, Any], name: str, greatest: int) -> int:
    value = call.get(name)
    if type(value) is not int or not 0 <= value <= greatest:
        raise TraceError(*at, f"{name} is {value!r}, not a whole number from 0 to {greatest}")
    return value
