"""Roles are killed, stalled, doubled and moved while usage flows; an independent oracle says what must have come out.

`points` where a role can be struck · `role` a role that is struck there · `workers` processes and crews ·
`faults` what is done to them · `traffic` the input · `oracle` what must come of it · `subscriber` what alerts a
subscriber sees · `findings` the comparison · `matrix` groups of faults, one after another · `table` what is printed.

`python -m tests.crash` (or `make crash`) runs all of it; `test_matrix` a short form.
"""

from __future__ import annotations
