"""In: YAML files that people write and review. Out: their records on `governance.control`, all in one transaction or
none.

`marked_yaml` data with line numbers · `directory` flat dated entries grouped into records · `loading` files to
records, or every problem with file, line and field · `references` what records say of each other · `plan` the
difference to what is in force · `publish` the transaction.
"""

from __future__ import annotations

from streamgauge.apply.loading import Loaded, load_files
from streamgauge.apply.plan import Change, Plan, make_plan
from streamgauge.apply.problems import ApplyError, Place, Problem
from streamgauge.apply.publish import publish_plan

__all__ = ["ApplyError", "Change", "Loaded", "Place", "Plan", "Problem", "load_files", "make_plan", "publish_plan"]
