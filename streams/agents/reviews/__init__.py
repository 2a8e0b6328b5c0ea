"""Slow alerts, judged from what ClickHouse holds: a workflow whose calls have become dearer, and a use case whose cost
grows faster than what it achieves.

`questions` what is asked, and the answers · `reviewer` the thread that asks · `hours` the hourly values of a workflow
and what is usual for it · `shift` where they shift · `comparison` before against after · `parts` the change, split
exactly · `trend` weeks of a use case · `episode` what was told · `regressions` and `divergences` which alerts follow ·
`watch` the reviews of one shard, remembered in its checkpoints.
"""

from __future__ import annotations
