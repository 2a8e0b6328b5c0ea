"""In: a panel's SQL with the macros of Grafana's ClickHouse source. Out: the SQL that the source sends.

As documented for grafana-clickhouse-datasource 4: `https://grafana.com/docs/plugins/grafana-clickhouse-datasource/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime


class UnknownMacro(ValueError):
    """A macro that the source does not have: Grafana would send it as it is, and ClickHouse refuse it."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What the time picker says, and the seconds that one point of a graph stands for."""

    start: datetime
    end: datetime
    interval_s: int

    def expand(self, sql: str) -> str:
        start, end = (f"toDateTime({int(moment.timestamp())})" for moment in (self.start, self.end))
        step = f"INTERVAL {self.interval_s} second"
        expanded = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= {start} AND \1 <= {end}", sql)
        expanded = re.sub(r"\$__timeInterval\((\w+)\)", rf"toStartOfInterval(toDateTime(\1), {step})", expanded)
        for macro, value in (("fromTime", start), ("toTime", end), ("interval_s", str(self.interval_s))):
            expanded = re.sub(rf"\$__{macro}\b", value, expanded)
        left = re.search(r"\$\{?\w+", expanded)
        if left is not None:
            raise UnknownMacro(f"{left[0]} is no macro of the ClickHouse source: {sql}")
        return expanded
