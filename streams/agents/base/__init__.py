"""What budgets that were made in mid-period used before: asked of the history, added once.

`bases` what a shard asks for, and what it does with the answer · `asker` the thread beside the shards that asks.
"""

from __future__ import annotations
