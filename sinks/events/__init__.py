"""`usage.enriched` into `usage_events_raw` and `usage_ledger`, each source range once.

Read in this order: `enriched_writer` (the numbered loop) → `places` and `ledger` (where to begin) → `ranges` and
`chain` (what comes next) → `intents` → `event_rows`.
"""
