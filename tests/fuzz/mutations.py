"""In: good bytes. Out: bytes as a broken or hostile sender would send them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

Mutation = Callable[[random.Random, bytes], bytes]

#: Lengths and counts that do not fit: around every power of two that some decoder uses, and negative ones.
NUMBERS: Final = (
    *(sign * ((1 << bits) + more) for bits in (7, 8, 15, 16, 31, 32, 33, 40, 62)
      for more in (-1, 0, 1) for sign in (1, -1)),
    2**63 - 1,
    -(2**63),
)  # fmt: skip
_JSON_VALUES: Final = (
    b"null", b"true", b"false", b"0", b"-1", b"-0", b"1.5", b"1e400", b"-1e400", b"1e-400", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"9" * 4_000, b"9" * 5_000, b"NaN",
    b"Infinity", b"-Infinity", b"[]", b"{}", b"[[]]", b"[{}]", b'""', b'" "', b'"\\u0000"', b'"\\ud800"',
    b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-23:59"',
    b'"2026-02-30T00:00:00Z"', b'"24:00"', b'"2026-01-31"', b'{"a":{"b":{"c":1}}}', b'{"":""}', b'"\\uFEFF"', b"0x10",
    b"01", b"1_000", b".5", b"5.", b"+1",
)  # fmt: skip


def zigzag(number: int) -> bytes:
    """An Avro long."""
    value = ((number << 1) ^ (number >> 63)) & ((1 << 64) - 1)
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    return bytes([*out, value])


def cut(rnd: random.Random, value: bytes) -> bytes:
    return value[: rnd.randrange(len(value) + 1)]


def cut_front(rnd: random.Random, value: bytes) -> bytes:
    return value[rnd.randrange(len(value) + 1) :]


def flip(rnd: random.Random, value: bytes) -> bytes:
    out = bytearray(value)
    for _ in range(rnd.choice((1, 1, 1, 2, 5, 30))):
        if out:
            out[rnd.randrange(len(out))] ^= 1 << rnd.randrange(8)
    return bytes(out)


def overwrite(rnd: random.Random, value: bytes) -> bytes:
    """Some bytes replaced by borders: 0, 1, 127, 128, 255."""
    out = bytearray(value)
    at = rnd.randrange(len(out) + 1)
    out[at : at + rnd.choice((1, 1, 2, 4, 8))] = bytes(
        rnd.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFF)) for _ in range(rnd.choice((1, 1, 4, 8)))
    )
    return bytes(out)


def insert(rnd: random.Random, value: bytes) -> bytes:
    at = rnd.randrange(len(value) + 1)
    return value[:at] + rnd.randbytes(rnd.choice((1, 1, 2, 9, 100))) + value[at:]


def remove(rnd: random.Random, value: bytes) -> bytes:
    at = rnd.randrange(len(value) + 1)
    return value[:at] + value[at + rnd.choice((1, 1, 2, 5, 20)) :]


def repeat(rnd: random.Random, value: bytes) -> bytes:
    """A piece twice, or many times."""
    at = rnd.randrange(len(value) + 1)
    end = at + rnd.choice((1, 2, 8, 50))
    return value[:end] + value[at:end] * rnd.choice((1, 1, 2, 50)) + value[end:]


def varint(rnd: random.Random, value: bytes) -> bytes:
    """A length or count that does not fit, in place of some bytes."""
    at = rnd.randrange(len(value) + 1)
    return value[:at] + zigzag(rnd.choice(NUMBERS)) + value[at + rnd.choice((0, 1, 2)) :]


def endless(rnd: random.Random, value: bytes) -> bytes:
    """A number without an end."""
    at = rnd.randrange(len(value) + 1)
    return value[:at] + rnd.choice((b"\xff", b"\x80")) * rnd.choice((9, 10, 11, 100)) + value[at:]


def fixed_length(rnd: random.Random, value: bytes) -> bytes:
    """A little-endian length of 4 or 8 bytes, as Arrow writes them, at a place that Arrow aligns."""
    size = rnd.choice((4, 8))
    at = rnd.randrange(len(value) // 4 + 1) * 4
    number = rnd.choice(NUMBERS) & ((1 << (8 * size)) - 1)
    return value[:at] + number.to_bytes(size, "little") + value[at + size :]


def not_text(rnd: random.Random, value: bytes) -> bytes:
    """Bytes that are no UTF-8, within what was text."""
    bad = rnd.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"))
    at = rnd.randrange(len(value) + 1)
    return value[:at] + bad + value[at + len(bad) :]


def json_value(rnd: random.Random, value: bytes) -> bytes:
    """One JSON value replaced by another."""
    colons = [place for place, byte in enumerate(value) if byte == 0x3A]
    if not colons:
        return overwrite(rnd, value)
    start = rnd.choice(colons) + 1
    end = min((place for sign in (b",", b"}", b"]") if (place := value.find(sign, start)) >= 0), default=len(value))
    return value[:start] + rnd.choice(_JSON_VALUES) + value[end:]


def json_key(rnd: random.Random, value: bytes) -> bytes:
    """A key said twice, or a strange one."""
    key = rnd.choice(
        (b'"event_id"', b'"source"', b'"model"', b'"kind"', b'"events"', b'""', b'"\\u0000"', b'"__proto__"')
    )
    brace = value.find(b"{")
    if brace < 0:
        return insert(rnd, value)
    return value[: brace + 1] + key + b":" + rnd.choice(_JSON_VALUES) + b"," + value[brace + 1 :]


def nest(rnd: random.Random, _value: bytes) -> bytes:
    """JSON nested deeper than anybody means."""
    depth = rnd.choice((10, 199, 200, 201, 1_000, 50_000))
    opening, closing = rnd.choice(((b"[", b"]"), (b'{"a":', b"}")))
    whole = opening * depth + b"1" + (closing * depth if rnd.random() < 0.7 else b"")
    return rnd.choice((b'{"events":' + whole + b"}", b'{"tags":' + whole + b"}", b"{" + whole, whole))


def giant(rnd: random.Random, value: bytes) -> bytes:
    """A text of up to a megabyte."""
    filler = rnd.choice((b"a", b"\xff", b"9", b'"', b"\x00", b"{", b"\\"))
    at = rnd.randrange(len(value) + 1)
    return value[:at] + filler * rnd.choice((2_000, 70_000, 1_000_000)) + value[at:]


def many(rnd: random.Random, _value: bytes) -> bytes:
    """As many empty events as a message can name."""
    piece = rnd.choice((b"{}", b"0", b"[]", b'""', b"null"))
    return b'{"events":[' + b",".join([piece] * rnd.choice((3, 500, 20_001, 100_000))) + b"]}"


def noise(rnd: random.Random, value: bytes) -> bytes:
    """Nothing of it left, but the beginning that tells the framing."""
    return value[: rnd.choice((0, 1, 2, 5, 10))] + rnd.randbytes(rnd.choice((0, 1, 5, 40, 400)))


BINARY: Final[tuple[Mutation, ...]] = (
    cut, cut, cut_front, flip, flip, flip, overwrite, overwrite, insert, remove, repeat, varint, varint, endless,
    fixed_length, not_text, noise,
)  # fmt: skip
JSON: Final[tuple[Mutation, ...]] = (
    cut, flip, overwrite, insert, remove, repeat, not_text, json_value, json_value, json_value, json_key, noise,
)  # fmt: skip
#: Those that make large inputs: a hundred times rarer, so that the run is not spent on copying.
LARGE: Final[tuple[Mutation, ...]] = (nest, giant, many)


def spoil(rnd: random.Random, value: bytes, mutations: tuple[Mutation, ...]) -> bytes:
    """One to three mutations, one after the other."""
    if rnd.random() < 0.003:
        return rnd.choice(LARGE)(rnd, value)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        value = rnd.choice(mutations)(rnd, value)
    return value
