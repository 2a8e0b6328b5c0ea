"""The data plane: every usage event, once, in columns.

In: `usage.events`. Out: `usage.enriched`, `usage.tallies`, `usage.rejected`, `usage.fingerprints`.

Read in the order in which an event meets them: `source` → `schemas.decoding` → `validate` → `dedupe` → `attribute` →
`schemas.prices` → `watermark` → `tally` → `outputs`; `pipeline` is the columns from end to end, `run` the loop with
effects.
"""
