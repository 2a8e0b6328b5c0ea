"""Into ClickHouse, once: the tables, the writers that fill them, and the analysts' views.

In: `usage.enriched`, `usage.outcomes`, `usage.rejected`, `governance.alerts`, `governance.status`. Out: ClickHouse
rows.

Read in this order: `config` → `database` (one address, HTTP or chdb) → `migrate` with `migrations/*.sql` → `run`, which
drives `enriched_writer` (source ranges, intents, tokens) and the `records_writer` of the other four topics → `queries`.
"""
