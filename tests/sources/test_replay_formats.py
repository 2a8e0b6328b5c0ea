"""Trace readers on hand-written lines in the formats of the public traces."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.control.base import moment_us
from sources.errors import TraceError
from sources.replay.azure_llm import read_azure_llm
from sources.replay.chunk import CHUNK_ROWS, measure
from sources.replay.events_jsonl import read_events_jsonl
from sources.replay.mooncake import mooncake_reader

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def file(folder: Path, text: str) -> Path:
    path = folder / "trace"
    path.write_bytes(text.encode())
    return path


def test_azure_times_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        HEADER + "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:46.9999999,91,16\n2023-11-16 18:15:47,0,0",
    )
    (calls,) = read_azure_llm(path)
    second = moment_us(datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC))
    assert calls.occurred_at_us.tolist() == [second + 680_590, second + 999_999, second + 1_000_000]
    assert (calls.input_tokens.tolist(), calls.output_tokens.tolist()) == ([374, 91, 0], [44, 16, 0])


def test_azure_2024_times_are_read_too(tmp_path: Path) -> None:
    (calls,) = read_azure_llm(file(tmp_path, HEADER + "2024-05-10 00:00:00.009930+00:00,2162,5\n"))
    assert calls.occurred_at_us.tolist() == [moment_us(datetime(2024, 5, 10, 0, 0, 0, 9_930, UTC))]


def test_no_line_is_lost_between_chunks(tmp_path: Path) -> None:
    lines = CHUNK_ROWS * 2 + 7
    path = file(tmp_path, HEADER + "".join(f"2023-11-16 18:15:46.6805900,{n},1\n" for n in range(lines)))
    chunks = list(read_azure_llm(path))
    assert [calls.row for calls in chunks] == [0, CHUNK_ROWS, 2 * CHUNK_ROWS]
    assert sum(int(calls.input_tokens.sum()) for calls in chunks) == lines * (lines - 1) // 2
    assert measure(path).lines == lines + 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2023-11-16 18:15:46.6805900,374", "has 2 fields, three are wanted"),
        ("", "has 1 fields"),
        ("16.11.2023 18:15,374,44", "TIMESTAMP '16.11.2023 18:15' is not a time"),
        ("2023-02-30 18:15:46.6805900,374,44", "no date that exists"),
        ("2023-11-16 18:15:46.6805900,-3,44", "ContextTokens '-3' is not a whole number"),
        ("2023-11-16 18:15:46.6805900,374,4.5", "GeneratedTokens '4.5' is not a whole number"),
        ("2023-11-16 18:15:46.6805900,374,999999999", "is more than 100000000 tokens"),
    ],
)
def test_a_bad_azure_line_is_named_with_file_and_line(tmp_path: Path, line: str, says: str) -> None:
    path = file(tmp_path, HEADER + "2023-11-16 18:15:46.6805900,374,44\n" + line + "\n")
    with pytest.raises(TraceError, match=says) as caught:
        list(read_azure_llm(path))
    assert caught.value.line == 3
    assert str(path) in str(caught.value)


def test_another_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="line 1: the header is 'a,b'"):
        list(read_azure_llm(file(tmp_path, "a,b\n1,2\n")))


def test_mooncake_reads_a_seen_prefix_from_cache(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        '{"timestamp": 0, "input_length": 1500, "output_length": 5, "hash_ids": [0, 1, 2]}\n'
        '{"timestamp": 1500, "input_length": 1600, "output_length": 6, "hash_ids": [0, 1, 3, 2]}\n'
        '{"timestamp": 3000, "input_length": 1100, "output_length": 7, "hash_ids": [0, 1, 3]}\n'
        '{"timestamp": 3000, "input_length": 10, "output_length": 8, "hash_ids": [9]}\n',
    )
    (calls,) = mooncake_reader(datetime(2024, 6, 1, tzinfo=UTC))(path)
    start = moment_us(datetime(2024, 6, 1, tzinfo=UTC))
    assert (calls.occurred_at_us - start).tolist() == [0, 1_500_000, 3_000_000, 3_000_000]
    # Nothing seen; two blocks seen; three blocks seen, of which only the prompt's own length counts; nothing.
    assert calls.cache_read_tokens is not None
    assert calls.cache_read_tokens.tolist() == [0, 1_024, 1_100, 0]
    assert calls.prefix_hash == [None, "mooncake-block-1", "mooncake-block-3", None]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "it is not JSON"),
        ("[]", "not a JSON object"),
        ('{"timestamp": 0, "input_length": 1, "output_length": 1}', "hash_ids"),
        ('{"timestamp": 0.5, "input_length": 1, "output_length": 1, "hash_ids": []}', "timestamp is 0.5"),
        ('{"timestamp": 0, "input_length": -1, "output_length": 1, "hash_ids": []}', "input_length is -1"),
        ('{"timestamp": 0, "input_length": 1, "output_length": true, "hash_ids": []}', "output_length is True"),
    ],
)
def test_a_bad_mooncake_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(TraceError, match=says) as caught:
        list(mooncake_reader(datetime(2024, 6, 1, tzinfo=UTC))(file(tmp_path, line + "\n")))
    assert caught.value.line == 1


def test_json_lines_are_kept_as_they_are(tmp_path: Path) -> None:
    good = '{"event_id": "a", "occurred_at": "2026-01-02T03:04:05+01:00", "team_id": "t", "input_tokens": 5}'
    path = file(tmp_path, f'{good}\r\n{{"event_id": 7}}\nnot json\n\n{{"event_id":"b","occurred_at":1767323045000000}}')
    (lines,) = read_events_jsonl(path)
    assert [line.value for line in lines][:4] == [good.encode(), b'{"event_id": 7}', b"not json", b""]
    assert [line.readable for line in lines] == [True, False, False, False, True]
    assert lines[0].occurred_at_us == moment_us(datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC))
    assert (lines[0].team_id, lines[0].input_tokens) == ("t", 5)
    assert lines[0].message(4).key == b"a"
    assert lines[2].message(4) == lines[2].message(4)
