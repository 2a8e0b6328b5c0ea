"""How events come in. Knows `schemas` and `runtime`, nothing else of ours.

- `reporter/` the producer SDK: `UsageReporter`, `OutcomeReporter`, for services that call models
- `replay/`   traces from files: Azure LLM inference, Mooncake, our own JSON lines
- `fleet/`    a seeded synthetic company with planted incidents, for the demo and for tests
- `messages` rows to framed messages with their partitions · `bulk` whole tables onto Kafka
- `errors`   what can go wrong, in words
"""
