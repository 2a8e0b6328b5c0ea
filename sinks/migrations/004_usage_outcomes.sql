-- What model calls achieved. The newest delivery of an outcome rules, so that a change that was reverted can be told.
-- No partitions: a correction may carry another time, and rows of different partitions are never merged.
CREATE TABLE IF NOT EXISTS usage_outcomes
(
    `outcome_id`            String                     COMMENT 'Unique within source.' CODEC(ZSTD(1)),
    `source`                LowCardinality(String)     COMMENT 'The system that knows the outcome.',
    `occurred_at`           DateTime64(6, 'UTC')       COMMENT 'When the outcome was known.' CODEC(Delta, ZSTD(1)),
    `team_id`               LowCardinality(String)     COMMENT 'Team whose outcome it is.',
    `use_case`              LowCardinality(String)     COMMENT 'Registered use case.',
    `workflow`              LowCardinality(Nullable(String)) COMMENT 'Workflow within the use case.',
    `kind`                  LowCardinality(String)     COMMENT 'ticket_resolved, change_merged, document_processed, or a kind of your own.',
    `succeeded`             Bool                       COMMENT 'The outcome was reached and held.',
    `quality`               Nullable(Float64)          COMMENT 'Score on the scale that quality_kind names.',
    `quality_kind`          LowCardinality(Nullable(String)) COMMENT 'Name of the score: csat, review_score, eval_pass_rate.',
    `cycle_time_s`          Nullable(Float64)          COMMENT 'From the first call to the outcome, seconds.',
    `minutes_saved`         Nullable(Float64)          COMMENT 'Human minutes saved, where measured.',
    `value_nanousd`         Nullable(Int64)            COMMENT 'Business value, billionths of a US dollar.' CODEC(T64, ZSTD(1)),
    `value_usd`             Nullable(Decimal(18, 9)) ALIAS toDecimal64(value_nanousd, 0) * toDecimal64('0.000000001', 9)
                                                       COMMENT 'Business value, US dollars, exact.',
    `incident`              LowCardinality(Nullable(String)) COMMENT 'compliance or safety, where the outcome was an incident.',
    `baseline_cost_nanousd` Nullable(Int64)            COMMENT 'What the same outcome costs without AI, billionths of a US dollar.' CODEC(T64, ZSTD(1)),
    `baseline_cost_usd`     Nullable(Decimal(18, 9)) ALIAS toDecimal64(baseline_cost_nanousd, 0) * toDecimal64('0.000000001', 9)
                                                       COMMENT 'What the same outcome costs without AI, US dollars, exact.',
    `baseline_cycle_time_s` Nullable(Float64)          COMMENT 'How long the same outcome takes without AI, seconds.',
    `session_id`            Nullable(String)           COMMENT 'Joins the usage events of that session.',
    `trace_id`              Nullable(String)           COMMENT 'Joins the usage events of that trace.',
    `reference`             Nullable(String)           COMMENT 'The thing itself: a pull request, ticket or document id.',
    `ingested_at`           DateTime64(6, 'UTC')       COMMENT 'When the broker appended it; the newest delivery rules. The TTL counts from here.'
)
ENGINE = ReplacingMergeTree(ingested_at)
ORDER BY (source, outcome_id)
COMMENT 'Outcomes of model calls, the newest delivery of each. Read with FINAL.';
