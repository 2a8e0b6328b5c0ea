"""Rejected records: raw bytes are kept, up to what a message may hold, and always named by the hash of all of them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from schemas.rejections import MAX_RAW_BYTES, Rejection, pack_raw
from tests.schemas.samples import REJECTION

#: No produced message is above this (design: 900 kB).
LARGEST_MESSAGE = 900_000


@pytest.mark.parametrize("size", [0, 1, MAX_RAW_BYTES - 1, MAX_RAW_BYTES])
def test_short_values_are_kept_whole(size: int) -> None:
    value = bytes(size)
    raw, sha256, count, cut = pack_raw(value)
    assert (base64.b64decode(raw), count, cut) == (value, size, False)
    assert sha256 == hashlib.sha256(value).hexdigest()


def test_long_values_are_cut_and_their_whole_is_hashed() -> None:
    value = b"x" * MAX_RAW_BYTES + b"tail"
    raw, sha256, count, cut = pack_raw(value)
    assert (base64.b64decode(raw), count, cut) == (value[:MAX_RAW_BYTES], len(value), True)
    assert sha256 == hashlib.sha256(value).hexdigest()


def test_the_greatest_record_fits_into_a_message() -> None:
    raw, sha256, count, cut = pack_raw(b"\xff" * 1_048_588)
    widest = REJECTION.model_copy(
        update={"raw": raw, "raw_sha256": sha256, "raw_bytes": count, "raw_truncated": cut, "message": "é" * 10_000}
    )
    assert len(widest.model_dump_json().encode()) < LARGEST_MESSAGE


def test_round_trip() -> None:
    assert Rejection.model_validate_json(REJECTION.model_dump_json()) == REJECTION
