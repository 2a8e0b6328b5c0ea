"""Contracts: what travels between producers, our processes and the people who read them. Imports nothing of ours.

# Layout, in the order in which an event meets it

- `avro/NAME/vN.avsc`   what producers send; `avro_schemas` loads every version and knows their fingerprints
- `framing`             three wire framings, told apart by their first bytes
- `usage`               the decoded usage event as Arrow columns, its closed sets and its limits
- `positions`           where a row came from: source ranges, the headers that carry them, the ledger row of a batch
- `rejections`          why an event was refused, with its raw bytes
- `enriched`, `tallies` the Arrow tables that enrich writes
- `prices/`             the rate card: integer prices, dated, versioned
- `control/`            documents that people write: directory, use cases, model catalogue, budgets, policies, …
- `alerts`, `status`    what ops and gateways read, as JSON
- `topics`              every topic: name, partitions, retention, who may read and write it
- `json/`               JSON Schemas generated from the pydantic models by `python -m schemas.generate`
"""
