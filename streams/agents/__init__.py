"""Control plane: tallies in; totals, budget states, explained alerts out. One worker owns some of the tally partitions.

In the order in which a tally message meets them:

- `run`, `app`     the Faust worker; `custody` which shards it holds; `keeper` one shard with its lock, log and store
- `tally_message`  headers and Arrow bytes → one typed message
- `shard`          one tally partition's whole state, pure: offer, settle
- `chain` applied once · `watermarks` event time · `counting` from when a budget is counted whole
- `names`, `sums` columns of sums by interned key · `windows` per team · `batch` one settlement's rows
- `totals` per budget and period · `crossings` levels reached · `verdicts` their state machine · `statuses` ·
`budget_texts`
- `spikes/`        buckets → baseline → detector → decomposition → episode
- `state_records`  state ↔ records of `usage.state`; `store`, `kafka_store`, `memory_store` keep them
"""
