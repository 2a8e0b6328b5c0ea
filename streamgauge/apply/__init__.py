"""In: YAML files that people write and review. Out: their records on `governance.control`, all in one transaction or
none.

`marked_yaml` data with line numbers · `kinds` of documents · `directory` flat dated entries grouped into records ·
`wording` what is wrong with a document · `contradictions` policies against themselves · `subtrees` whose folder a file
lies in · `loading` files to records, or every problem with file, line and field.

`departments` what lies below what · `decided` decisions, and who may take them · `references` what records say of each
other · `unreachable` budgets that nothing can match · `holdings` what the owner of a folder holds · `plan` the
difference to what is in force.

`differences` field by field · `standing` what budgets stand at today · `effects` what a plan would do to that ·
`telling` all of it in words · `publish` the transaction.
"""

from __future__ import annotations

from streamgauge.apply.loading import Loaded, load_files
from streamgauge.apply.plan import Change, Plan, make_plan
from streamgauge.apply.problems import ApplyError, Place, Problem
from streamgauge.apply.publish import Overtaken, publish_plan

__all__ = [
    "ApplyError",
    "Change",
    "Loaded",
    "Overtaken",
    "Place",
    "Plan",
    "Problem",
    "load_files",
    "make_plan",
    "publish_plan",
]
