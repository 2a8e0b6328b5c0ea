"""In: ClickHouse's refusal of a login. Out: one sentence about who may see refused events."""

from __future__ import annotations

from typing import Final

_SIGNS: Final = ("ACCESS_DENIED", "Not enough privileges", "READONLY", "readonly mode")


class NotAllowed(RuntimeError):
    """This login may not see refused events, or may not note that they were sent again."""

    def __init__(self) -> None:
        super().__init__(
            "this ClickHouse user may not do that: refused events may hold anything, so analysts see only how many "
            "there are (rejections_daily). Run it as the sink's user: clickhouse.user and "
            "STREAMGAUGE_CLICKHOUSE__PASSWORD"
        )

    @staticmethod
    def says(error: Exception) -> bool:
        """Whether the error is such a refusal."""
        return any(sign in str(error) for sign in _SIGNS)
