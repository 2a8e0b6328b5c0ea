"""Into ClickHouse, once: the tables, the writers that fill them, the analysts' views, and the proof that all is there.

In: `usage.enriched` and the topics of records. Out: ClickHouse rows.

Read in this order: `config` → `database` (one address, HTTP or chdb) and `errors` (what to wait out) → `migrate` with
`migrations/*.sql` and `retention` → `run`, which drives two writers → `events` (source ranges, intents, tokens) and
`records` (the other topics), both on `group` and `refusals`. Beside the writers: `reconcile` judges what they wrote,
`recovery` brings back what was lost, `corrections` serves the commands that correct.
"""
