"""What ClickHouse adds to an alert on a budget, beside the way of the alerts: what rose, and where spend went later.

`detail` what is asked, and the answer · `look` the looks of one shard, remembered in its checkpoints · `investigator`
the thread that asks · `wording` the answer in causes and a sentence.
"""

from __future__ import annotations
