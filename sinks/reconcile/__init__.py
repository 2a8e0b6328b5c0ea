"""Whether nothing was lost and nothing counted twice, told from ClickHouse and Kafka alone.

In: the ledger, the rows, the records of refused events, the statuses of budgets. Out: a report with a residual for each
check and partition, and the rows that mend it.

Read in this order: `findings` (what a report is made of) → `run` (the order of questions) → `scope` (what is judged) →
`chain`, `parts`, `rows`, `rejected`, `budgets` (the five checks) → `gaps`, `examine` (from a partition that is off down
to its events) → `mend` (what can be put back).
"""
