"""In: an exception of clickhouse-connect. Out: whether to wait, to blame the data, to cut it, or to stop. By code,
never by text.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

Verdict = Literal["transient", "data", "partitions", "unknown"]

#: The server or the way to it is the trouble: the same insert succeeds later. Names as in ClickHouse's ErrorCodes.cpp.
TRANSIENT: Final[dict[int, str]] = {
    3: "UNEXPECTED_END_OF_FILE",
    24: "CANNOT_WRITE_TO_OSTREAM",
    159: "TIMEOUT_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    319: "UNKNOWN_STATUS_OF_INSERT",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    745: "SERVER_OVERLOADED",
    999: "KEEPER_EXCEPTION",
}

#: A row of the block is the trouble: the same insert fails for ever, its neighbours would pass.
DATA: Final[dict[int, str]] = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    131: "TOO_LARGE_STRING_SIZE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    407: "DECIMAL_OVERFLOW",
    469: "VIOLATED_CONSTRAINT",
}

_SENTENCE: Final = re.compile(r"DB::Exception: (.*?)(?: \(version [^)]*\).*| \(for url .*)?$", re.DOTALL)
_ONE_BLOCK: Final = re.compile(r"partitions for single INSERT block", re.IGNORECASE)


def verdict(error: BaseException) -> Verdict:
    """`transient`: retry for ever. `data`: isolate the row. `partitions`: no row is bad, but one insert may not touch
    so many table partitions. `unknown`: stop, a person must look.
    """
    if not isinstance(error, ClickHouseError):
        # urllib3 and socket errors that the client let through; anything else is a defect of ours.
        return "transient" if isinstance(error, OSError) else "unknown"
    code = code_of(error)
    if code is None:
        # No code: no answer of ClickHouse's own. The client names what it could not reach an OperationalError.
        return "transient" if isinstance(error, OperationalError) or _gateway_failed(error) else "unknown"
    if code == 252 and _ONE_BLOCK.search(str(error)):
        # One code for two troubles: merges that lag (they catch up) and one block over too many partitions (for ever).
        return "partitions"
    if code in TRANSIENT:
        return "transient"
    return "data" if code in DATA else "unknown"


def code_of(error: BaseException) -> int | None:
    """ClickHouse's error code, where it answered with one."""
    return error.code if isinstance(error, Error) else None


def sentence_of(error: BaseException) -> str:
    """What ClickHouse said, without the client's words before it and the version and address behind it."""
    found = _SENTENCE.search(str(error))
    return found[1].strip() if found else str(error)


def _gateway_failed(error: BaseException) -> bool:
    """A proxy answered in ClickHouse's place: 502, 503 or 504 without ClickHouse's exception header."""
    return re.search(r"HTTP status 50[234]\b", str(error)) is not None


class SinkError(RuntimeError):
    """The sink stops; the message has the figures and the way out."""


class ContentRefused(SinkError):
    """ClickHouse refuses these rows, and would for ever. `by_partitions`: not for a row, but for how many months they
    touch.
    """

    def __init__(self, message: str, code: int | None, sentence: str, *, by_partitions: bool) -> None:
        super().__init__(message)
        self.code, self.sentence, self.by_partitions = code, sentence, by_partitions
