"""In: nothing. Out: the Arrow schema of a tally message: the sums of one source range that belong to one tally
partition.

Four kinds of rows share it. A *cell* row (`budget_id`, `source` and `policy_rule` null) is a team's sum by project, use
case, stage, model class and event-time minute. A *budget* row sums what matched one budget in one of its periods, by
quarter of an hour, so that the budget's home partition needs no other partition's help. A *source* row (`source` set)
counts in `calls` what one source sent in a broker minute: with `rejection_code` null the events that were read and
passed, resends included, else those refused with that code; its other measures are 0. A *policy* row (`policy_rule`
set) sums by hour what one rule made of its calls: `policy_verdict` with, for anything but `allowed`, the team,
department, use case, stage, model class and workflow; under the rule `(all)` the verdict is one of FACETS and nothing
else is set but, for `high_risk_approved`, the workflow. An empty value is a range without rows for this partition: it
carries the chain and the watermark. Headers: `sg-version`, `sg-range`, `sg-mark`.
"""

from __future__ import annotations

import zlib
from typing import Final

import pyarrow as pa

#: Summed columns, all int64: counts of events and tokens, nano-USD, milliseconds.
MEASURES: Final = (
    "calls",
    "errors",
    "late",
    "unpriced",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nanousd",
    "provisional_nanousd",
    "latency_ms",
)

TALLIES: Final = pa.schema(
    [
        pa.field("team_id", pa.utf8()),
        pa.field("department", pa.utf8()),
        pa.field("project_id", pa.utf8()),
        pa.field("use_case", pa.utf8()),
        pa.field("stage", pa.utf8()),
        pa.field("model_class", pa.utf8()),
        #: Start of the event-time bucket in minutes since the epoch: a minute (cells) or a quarter of an hour
        #: (budgets).
        pa.field("minute", pa.int32(), nullable=False),
        pa.field("budget_id", pa.utf8()),
        #: Hash of what decides which events the budget counts and when its periods turn; limits may change without it.
        pa.field("budget_rule", pa.utf8()),
        #: Start of the budget's period in minutes since the epoch.
        pa.field("period_start", pa.int32()),
        #: Who within the budget the row is for (a user's hash in a per-user budget); null for the budget as a whole.
        pa.field("sub_key", pa.utf8()),
        *(pa.field(name, pa.int64(), nullable=False) for name in MEASURES),
        #: Who sent, on source rows alone. Since version 2.
        pa.field("source", pa.utf8()),
        #: Why, on source rows of refused events. Since version 2.
        pa.field("rejection_code", pa.utf8()),
        #: What a policy made of the calls, and in which workflow, on policy rows alone. Since version 3.
        pa.field("policy_rule", pa.utf8()),
        pa.field("policy_verdict", pa.utf8()),
        pa.field("workflow", pa.utf8()),
    ]
)

#: Source of refused events that do not tell theirs.
UNREADABLE_SOURCE: Final = "(unreadable)"

#: The rule of policy rows that count all calls, and what is told of them: all; those that a policy speaks of; and those
#: without a team, without a price, with a violation, of an unregistered use case, and of critical use cases that act
#: alone under an approval.
ALL_CALLS: Final = "(all)"
FACETS: Final = ("all", "governed", "unattributed", "unpriced", "violations", "unregistered", "high_risk_approved")

#: The dimensions of a cell row.
CELL_DIMENSIONS: Final = ("team_id", "department", "project_id", "use_case", "stage", "model_class")


def home_partition(key: str, partitions: int) -> int:
    """The tally partition where a team (`team/ID`), budget (`budget/ID`), source (`source/NAME`) or policy
    (`policy/ID`) lives: CRC-32 of the key modulo the fixed count.
    """
    return zlib.crc32(key.encode()) % partitions
