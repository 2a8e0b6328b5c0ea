"""A company that does not exist: a seeded month of its model calls and outcomes, with incidents planted in it.

- `cast`     who works there: teams and what they use models for · `house/` the same company as control documents (YAML)
- `rhythm`   when they work · `draw` base calls · `calls` the columns that travel between these files
- `incidents/` one file each: what goes wrong · `faults` events that must be refused · `resends` events sent twice
- `outcomes` what the calls achieved · `columns` calls as Arrow · `fleet` the whole, in chunks of event time
"""

from __future__ import annotations

from sources.fleet.expected import Expected, Incident
from sources.fleet.fleet import Chunk, Fleet
from sources.fleet.house_files import HOUSE, house_files

__all__ = ("HOUSE", "Chunk", "Expected", "Fleet", "Incident", "house_files")
