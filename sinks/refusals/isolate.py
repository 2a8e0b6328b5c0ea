"""In: rows under a token, of which ClickHouse may refuse some. Out: the good ones inserted, the bad ones told apart.

The rows are inserted whole, as a rule. When ClickHouse refuses them for their content, nothing of them was written (a
block is checked before its first part), and they are halved until the bad rows stand alone: about 2·log2(n) inserts for
one bad row among n. When one insert would touch too many table partitions, it is cut by months, and no row is bad.

Every cut has its token: `TOKEN/LOW-HIGH` for rows [LOW, HIGH) of what stands under TOKEN, `TOKEN:0` and `TOKEN:1` for
the earlier and the later months. Cuts depend on the rows and on ClickHouse's answers alone, so a repeat after a crash
makes the same inserts under the same tokens, and those that were done are recognised. Where ClickHouse answers
otherwise than before the crash (somebody changed the table between), rows can stand twice under one key until merges
drop the second; the view `usage_events` shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from sinks.errors import ContentRefused, SinkError
from sinks.events.event_rows import by_months, months_of

#: Inserts rows under a token. Raises ContentRefused.
Insert = Callable[[pa.Table, str], None]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row that ClickHouse does not take, with its code and its sentence."""

    row: pa.Table
    code: int | None
    sentence: str


def insert_good_rows(rows: pa.Table, token: str, insert: Insert, limit: int) -> list[RefusedRow]:
    """Insert what ClickHouse takes and return the rest. SinkError when more than `limit` rows are bad."""
    refused: list[RefusedRow] = []
    for one in _attempts(rows, token, insert):
        refused.append(one)
        if len(refused) > limit:
            raise SinkError(
                f"ClickHouse refuses more than {limit} of {rows.num_rows} rows for their content, the last one with "
                f"code {one.code}: {one.sentence}. That many at once point to the table, not to the rows: nothing was "
                "set aside and nothing committed. Mend the table; or, where the rows are to be refused, raise "
                "STREAMGAUGE_SINK__REFUSE_LIMIT_ROWS"
            )
    return refused


def _attempts(rows: pa.Table, token: str, insert: Insert) -> Iterator[RefusedRow]:
    for part, part_token in by_months(rows, token):
        yield from _attempt(part, part_token, part_token, 0, insert)


def _attempt(rows: pa.Table, token: str, whole: str, low: int, insert: Insert) -> Iterator[RefusedRow]:
    """Insert `rows`, which are rows [low, low + n) of what stands under the token `whole`."""
    try:
        insert(rows, token)
        return
    except ContentRefused as refusal:
        if refusal.by_partitions and len(months_of(rows)) == 1:
            raise
        if not refusal.by_partitions and rows.num_rows == 1:
            yield RefusedRow(rows, refusal.code, refusal.sentence)
            return
        by_partitions = refusal.by_partitions
    if by_partitions:
        for part, part_token in by_months(rows, token, -(-len(months_of(rows)) // 2)):
            yield from _attempt(part, part_token, part_token, 0, insert)
        return
    middle = rows.num_rows // 2
    for start, end in ((0, middle), (middle, rows.num_rows)):
        part_token = f"{whole}/{low + start}-{low + end}"
        yield from _attempt(rows.slice(start, end - start), part_token, whole, low + start, insert)
