"""What ClickHouse adds to an alert, beside the way of the alerts: what rose in a budget, where spend went later, and
what single calls tell of a spike.

`detail` what is asked, and the answer · `look` the looks of one shard at budgets, `spike_look` those at spikes, both
remembered in its checkpoints · `investigator` the thread that asks · `wording` the answer on a budget in causes and a
sentence.
"""

from __future__ import annotations
