"""In: how many rows each insert held and how many of them ClickHouse refused. Out: nothing, or the stop of a sink that
would set everything aside.

A bad row now and then is set aside; a table that takes nothing any more must not empty the topic into dead letters.
Held in memory: a restart begins to count anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sinks.errors import SinkError

#: The share is that of the newest so many rows, in whole inserts.
WINDOW_ROWS = 10_000


@dataclass(slots=True)
class RefusalLimit:
    """`rows`: so many refused rows are borne in one insert, in a row, and whatever their share. `share`: of the newest
    rows, above that number.
    """

    rows: int
    share: float
    _run: int = 0
    _window: deque[tuple[int, int]] = field(default_factory=deque)

    def count(self, rows: int, refused: int, last: str = "") -> None:
        """One insert of `rows`, of which `refused` were. `last`: ClickHouse's sentence. SinkError beyond a limit."""
        self._run = self._run + refused if refused == rows else refused
        self._window.append((rows, refused))
        while len(self._window) > 1 and sum(rows for rows, _ in self._window) - self._window[0][0] >= WINDOW_ROWS:
            self._window.popleft()
        seen, bad = (sum(column) for column in zip(*self._window, strict=True))
        if self._run > self.rows:
            raise self._stop(f"{self._run} rows in a row", last)
        if bad > self.rows and bad > self.share * seen:
            raise self._stop(f"{bad} of the newest {seen} rows", last)

    def _stop(self, what: str, last: str) -> SinkError:
        return SinkError(
            f"ClickHouse refused {what} for their content, the last one with: {last}. That points to the table, not to "
            "the rows, so the sink stops before it sets more aside; the newest were neither set aside nor committed. "
            "Mend the table; or, where the rows are to be refused, raise STREAMGAUGE_SINK__REFUSE_LIMIT_ROWS "
            f"(now {self.rows}) or STREAMGAUGE_SINK__REFUSE_LIMIT_SHARE (now {self.share})"
        )
