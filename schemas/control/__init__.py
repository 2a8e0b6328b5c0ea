"""In: documents that people write and review. Out: typed records on `governance.control`, and the snapshot a worker
decides by.

`directory` who belongs where, dated · `use_cases` · `models` the model catalogue · `budgets` · `policies` ·
`exceptions` · `activities` planned work · `feedback` what people said of alerts · prices come from `schemas.prices` ·
`records` every kind by name · `snapshot` all of them at one position.
"""
