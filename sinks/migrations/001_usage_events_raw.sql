-- One row per accepted usage event and delivery. Analysts read the view usage_events, which has one row per event.
--
-- Sorting key: only what cannot differ between two deliveries of one event (an attributed team can), ending in source and
-- event id. Hour and model come first because time is what every query filters by and rows of one model look alike, which
-- is what the codecs live on.
--
-- LowCardinality for what is grouped and filtered by, plain strings for the rest: merging a LowCardinality column costs
-- several times what a string costs, and each row is merged four to six times. Parts below 256 MiB are compact (one file)
-- for the same reason: with both, a merge costs half the CPU.
--
-- non_replicated_deduplication_window counts inserts times table partitions. What must be recognised is the last insert of
-- an input partition, repeated by its next owner: 12 input partitions x 1 insert a second x 1 month each x 10 minutes of
-- pause = 7,200, rounded up. A repeat beyond it becomes a second row of the same key, which the view removes.
CREATE TABLE IF NOT EXISTS usage_events_raw
(
    `log`                    LowCardinality(String)           COMMENT 'Identity of the log that src_offset counts in: cluster and topic id.',
    `src_partition`          Int32                            COMMENT 'Partition of usage.events.' CODEC(T64, ZSTD(1)),
    `src_offset`             Int64                            COMMENT 'Offset of the message in that partition.' CODEC(T64, ZSTD(1)),
    `src_index`              Int32                            COMMENT 'Place of the event in a batch message, from 0.' CODEC(T64, ZSTD(1)),
    `ingested_at`            DateTime64(6, 'UTC')             COMMENT 'When the broker appended the message. TTLs count from here.' CODEC(Delta, ZSTD(1)),
    `event_id`               String                           COMMENT 'Unique within source.' CODEC(ZSTD(1)),
    `source`                 LowCardinality(String)           COMMENT 'Who reported: service, gateway or client installation.',
    `occurred_at`            DateTime64(6, 'UTC')             COMMENT 'Event time: when the call was made.' CODEC(Delta, ZSTD(1)),
    `team_id`                LowCardinality(Nullable(String)) COMMENT 'Team that the call is attributed to; NULL when nobody knows it.',
    `project_id`             LowCardinality(Nullable(String)) COMMENT 'Project, repository or product the call worked for.',
    `credential_id`          Nullable(String)                 COMMENT 'Which key made the call: its name or hash, never the secret.' CODEC(ZSTD(1)),
    `use_case`               LowCardinality(Nullable(String)) COMMENT 'Registered use case.',
    `workflow`               LowCardinality(Nullable(String)) COMMENT 'Workflow, agent or pipeline within the use case.',
    `workflow_version`       Nullable(String)                 COMMENT 'Deploy or commit of the workflow.' CODEC(ZSTD(1)),
    `prompt_template`        Nullable(String)                 COMMENT 'Prompt template as name@version.' CODEC(ZSTD(1)),
    `application`            LowCardinality(Nullable(String)) COMMENT 'Application the person or service used.',
    `stage`                  LowCardinality(Nullable(String)) COMMENT 'exploratory or production.',
    `data_class`             Nullable(String)                 COMMENT 'Sensitivity of the data sent.' CODEC(ZSTD(1)),
    `approval`               Nullable(String)                 COMMENT 'Reference of the approval the call ran under.' CODEC(ZSTD(1)),
    `provider`               LowCardinality(Nullable(String)) COMMENT 'OpenTelemetry gen_ai.provider.name.',
    `model`                  LowCardinality(String)           COMMENT 'Model asked for (gen_ai.request.model).',
    `response_model`         Nullable(String)                 COMMENT 'Model that answered (gen_ai.response.model).' CODEC(ZSTD(1)),
    `operation`              Nullable(String)                 COMMENT 'OpenTelemetry gen_ai.operation.name.' CODEC(ZSTD(1)),
    `service_tier`           Nullable(String)                 COMMENT 'standard, batch, flex, priority or fast.' CODEC(ZSTD(1)),
    `route_reason`           Nullable(String)                 COMMENT 'Why a router chose this model: default, escalated, fallback or cached.' CODEC(ZSTD(1)),
    `gateway_cache_hit`      Bool                             COMMENT 'Answered from a gateway''s cache: nothing is billed.',
    `input_tokens`           Int64                            COMMENT 'Prompt tokens, including cache reads and writes.' CODEC(T64, ZSTD(1)),
    `cache_read_tokens`      Int64                            COMMENT 'Part of input_tokens read from the provider''s cache.' CODEC(T64, ZSTD(1)),
    `cache_write_tokens`     Int64                            COMMENT 'Part of input_tokens written to the provider''s cache, all lifetimes.' CODEC(T64, ZSTD(1)),
    `cache_write_1h_tokens`  Int64                            COMMENT 'Part of cache_write_tokens with the one-hour lifetime.' CODEC(T64, ZSTD(1)),
    `output_tokens`          Int64                            COMMENT 'Completion tokens, including reasoning.' CODEC(T64, ZSTD(1)),
    `reasoning_tokens`       Int64                            COMMENT 'Part of output_tokens spent on reasoning.' CODEC(T64, ZSTD(1)),
    `meters`                 Map(LowCardinality(String), Int64) COMMENT 'Other billed units by name: images, audio_seconds, searches.',
    `latency_ms`             Nullable(Int64)                  COMMENT 'Wall time of the call, milliseconds.' CODEC(T64, ZSTD(1)),
    `ttft_ms`                Nullable(Int64)                  COMMENT 'Time to the first token, milliseconds.' CODEC(T64, ZSTD(1)),
    `status`                 LowCardinality(String)           COMMENT 'ok, error, cancelled or refused.',
    `error_type`             Nullable(String)                 COMMENT 'OpenTelemetry error.type.' CODEC(ZSTD(1)),
    `attempt`                Int64                            COMMENT '1 for the first try of a request.' CODEC(T64, ZSTD(1)),
    `retry_of`               Nullable(String)                 COMMENT 'event_id of the attempt this one repeats.' CODEC(ZSTD(1)),
    `prompt_hash`            Nullable(String)                 COMMENT 'Hash of the whole prompt: equal prompts have equal hashes.' CODEC(ZSTD(1)),
    `prefix_hash`            Nullable(String)                 COMMENT 'Hash of the reusable prefix of the prompt.' CODEC(ZSTD(1)),
    `prefix_tokens`          Nullable(Int64)                  COMMENT 'Tokens in that prefix.' CODEC(T64, ZSTD(1)),
    `trace_id`               Nullable(String)                 COMMENT 'OpenTelemetry trace id.' CODEC(ZSTD(1)),
    `session_id`             Nullable(String)                 COMMENT 'Conversation or session (gen_ai.conversation.id).' CODEC(ZSTD(1)),
    `provider_request_id`    Nullable(String)                 COMMENT 'The provider''s own id of the call.' CODEC(ZSTD(1)),
    `client_name`            Nullable(String)                 COMMENT 'Tool that made the call: an SDK, a coding agent, a gateway.' CODEC(ZSTD(1)),
    `client_version`         Nullable(String)                 COMMENT 'Version of that tool.' CODEC(ZSTD(1)),
    `reported_cost_nanousd`  Nullable(Int64)                  COMMENT 'What the reporter says the call cost, nano-USD; beside our price, never in its place.' CODEC(T64, ZSTD(1)),
    `tags`                   Map(LowCardinality(String), String) COMMENT 'Free labels whose keys are on the allow-list.',
    `user_hash`              Nullable(String)                 COMMENT 'Keyed hash of the user id. Restricted: not for the analyst role.' CODEC(ZSTD(1)),
    `claimed_team_id`        Nullable(String)                 COMMENT 'Team that the event itself named.' CODEC(ZSTD(1)),
    `attribution`            LowCardinality(String)           COMMENT 'How the team was found: credential, user, source, claim or unattributed.',
    `attribution_conflict`   Bool                             COMMENT 'The event claimed another team than the directory gave.',
    `department`             LowCardinality(Nullable(String)) COMMENT 'Department of the team when the event was enriched.',
    `cost_center`            LowCardinality(Nullable(String)) COMMENT 'Cost centre of the team when the event was enriched.',
    `model_class`            LowCardinality(Nullable(String)) COMMENT 'Class of the model in the catalogue, such as frontier or small.',
    `late`                   Bool                             COMMENT 'Behind its input partition''s watermark on arrival.',
    `cost_nanousd`           Nullable(Int64)                  COMMENT 'Cost in billionths of a US dollar; NULL when unpriced, never 0 for unknown.' CODEC(T64, ZSTD(1)),
    `input_cost_nanousd`     Nullable(Int64)                  COMMENT 'Part of the cost: uncached input.' CODEC(T64, ZSTD(1)),
    `cache_read_cost_nanousd`  Nullable(Int64)                COMMENT 'Part of the cost: cache reads.' CODEC(T64, ZSTD(1)),
    `cache_write_cost_nanousd` Nullable(Int64)                COMMENT 'Part of the cost: cache writes.' CODEC(T64, ZSTD(1)),
    `output_cost_nanousd`    Nullable(Int64)                  COMMENT 'Part of the cost: output.' CODEC(T64, ZSTD(1)),
    `provisional_nanousd`    Int64                            COMMENT 'What USD caps hold against an unpriced call; 0 for a priced one. Never part of cost.' CODEC(T64, ZSTD(1)),
    `price_status`           LowCardinality(String)           COMMENT 'Whether and how the price was found.',
    `price_note`             Nullable(String)                 COMMENT 'Why the price is what it is, where that needs a word.' CODEC(ZSTD(1)),
    `price_key`              Nullable(String)                 COMMENT 'Entry of the rate card that priced the call.' CODEC(ZSTD(1)),
    `price_context`          Nullable(String)                 COMMENT 'Variant of that entry: tier, batch, region.' CODEC(ZSTD(1)),
    `long_context`           Bool                             COMMENT 'Billed at a long-context rate.',
    `rate_card`              LowCardinality(String)           COMMENT 'Version of the rate card that priced the call.',
    `version`                UInt64 MATERIALIZED 18446744073709551615 - toUInt64(toUnixTimestamp64Micro(ingested_at))
                                                              COMMENT 'Falls with ingested_at, so that the first delivery of an event wins.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (toStartOfHour(occurred_at), model, source, event_id)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 268435456
COMMENT 'Usage events as delivered, one row per event and delivery until merges drop repeats. Read usage_events instead.';
