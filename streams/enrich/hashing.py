"""In: Arrow columns. Out: 64-bit hashes of each row, the same on every machine and in every version.

The hashes are kept in Kafka for the whole dedupe horizon, so a library's hash that may change with its next release
will not do. Rows are hashed eight bytes at a time, all rows at once: the loop runs over words, not over rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.enrich.columns import ints, whole

Hashes = npt.NDArray[np.uint64]

# Odd constants of MurmurHash3's 64-bit mixer (Austin Appleby, public domain) and of the golden ratio.
_A = np.uint64(0xFF51AFD7ED558CCD)
_B = np.uint64(0xC4CEB9FE1A85EC53)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(33)
_WORD = 8
#: The bytes of a word that belong to a text of which 0 to 8 bytes are left.
_KEEP = np.array([(1 << 8 * left) - 1 for left in range(_WORD + 1)], np.uint64)

#: A difference in these is an id given to two events.
_CONTENT_INTEGERS = ("occurred_at", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
_CONTENT_TEXTS = ("model", "team_id", "status")


def mix(values: Hashes) -> Hashes:
    """Spread every input bit over all output bits (a bijection)."""
    out = values ^ (values >> _HALF)
    out *= _A
    out ^= out >> _HALF
    out *= _B
    out ^= out >> _HALF
    return out


def combine(*columns: Hashes) -> Hashes:
    """One hash per row from several, in which the order of the columns matters."""
    out = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        out = mix(out + _GOLDEN + column)
    return out


def hash_integers(values: npt.NDArray[np.int64]) -> Hashes:
    return mix(values.astype(np.uint64) + _GOLDEN)


def hash_text(column: pa.Array | pa.ChunkedArray) -> Hashes:
    """Hash each text of a utf8 column; null and the empty text differ."""
    array = whole(column)
    rows = len(array)
    _, offsets_buffer, data_buffer = array.buffers()
    if rows == 0:
        return np.zeros(0, np.uint64)
    offsets = np.frombuffer(offsets_buffer, np.int32)[array.offset : array.offset + rows + 1].astype(np.int64)
    starts, lengths = offsets[:-1], np.diff(offsets)
    data = np.zeros(int(offsets[-1]) + _WORD, np.uint8)
    if data_buffer is not None:
        data[: offsets[-1]] = np.frombuffer(data_buffer, np.uint8, int(offsets[-1]))
    words = np.ndarray((len(data) - _WORD + 1,), "<u8", buffer=data, strides=(1,))
    out: Hashes = mix(lengths.astype(np.uint64) + _GOLDEN)
    shortest, longest = int(lengths.min()), max(1, int(lengths.max()))
    active: npt.NDArray[np.int64] | slice = slice(None)
    for at in range(0, longest, _WORD):
        if at and at >= shortest:
            active = np.flatnonzero(lengths > at)
        # Bytes behind the end of a short text belong to its neighbour: clear them.
        word = words[starts[active] + at] & _KEEP[np.minimum(lengths[active] - at, _WORD)]
        out[active] = mix(out[active] + _GOLDEN ^ word)
    if array.null_count:
        out[np.asarray(array.is_null())] = _GOLDEN
    return out


def hash_names(column: pa.Array | pa.ChunkedArray) -> Hashes:
    """`hash_text` of a column of few distinct texts: each is hashed once."""
    encoded = whole(column).dictionary_encode(null_encoding="encode")
    return hash_text(encoded.dictionary)[encoded.indices.to_numpy()]  # type: ignore[no-any-return]


def identity(table: pa.Table) -> Hashes:
    """Which event each row of a usage table is."""
    return combine(hash_names(table.column("source")), hash_text(table.column("event_id")))


def content(table: pa.Table) -> Hashes:
    """What each row of a usage table says, as far as two deliveries of one event cannot differ in it."""
    return combine(
        *(hash_integers(ints(table, name)) for name in _CONTENT_INTEGERS),
        *(hash_names(table.column(name)) for name in _CONTENT_TEXTS),
    )
