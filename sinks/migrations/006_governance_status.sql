-- What each budget stood at last, by period.
CREATE TABLE IF NOT EXISTS governance_status
(
    `budget_id`      LowCardinality(String)        COMMENT 'Budget.',
    `period_start`   DateTime64(6, 'UTC')          COMMENT 'Event time: start of the period.',
    `period_end`     Nullable(DateTime64(6, 'UTC')) COMMENT 'Event time: end of the period; NULL once retired.',
    `period_kind`    LowCardinality(String)        COMMENT 'day or month.',
    `time_zone`      LowCardinality(String)        COMMENT 'Time zone in which the period turns.',
    `rule`           String                        COMMENT 'Hash of what decides which events the budget counts.',
    `department`     LowCardinality(Nullable(String)) COMMENT 'Scope: department.',
    `team_id`        LowCardinality(Nullable(String)) COMMENT 'Scope: team.',
    `project_id`     LowCardinality(Nullable(String)) COMMENT 'Scope: project.',
    `use_case`       LowCardinality(Nullable(String)) COMMENT 'Scope: use case.',
    `stage`          LowCardinality(Nullable(String)) COMMENT 'Scope: stage.',
    `model_class`    LowCardinality(Nullable(String)) COMMENT 'Scope: model class.',
    `owner`          Nullable(String)              COMMENT 'Who owns the budget.',
    `contact`        Nullable(String)              COMMENT 'Where the owner is reached.',
    `unit`           LowCardinality(String)        COMMENT 'Unit of used, provisional, limit and forecast: nanousd, tokens or calls.',
    `used`           Int64                         COMMENT 'Used in the period, in unit, unpriced calls at their provisional price.',
    `provisional`    Int64                         COMMENT 'Part of used that is unpriced use at the provisional price.',
    `limit`          Int64                         COMMENT 'The limit, in unit.',
    `used_share`     Float64                       COMMENT 'used as a fraction of limit.',
    `calls`          Int64                         COMMENT 'Calls counted.',
    `state`          LowCardinality(String)        COMMENT 'ok, warning, soft, hard, unknown, or retired.',
    `state_reason`   Nullable(String)              COMMENT 'Why the state is unknown.',
    `mode`           LowCardinality(String)        COMMENT 'observe, warn or enforce.',
    `would_stop`     Bool                          COMMENT 'At or above hard, whatever the mode.',
    `forecast_p10`   Nullable(Int64)               COMMENT 'The period''s total, 10th percentile, in unit.',
    `forecast_p50`   Nullable(Int64)               COMMENT 'The period''s total, median, in unit.',
    `forecast_p90`   Nullable(Int64)               COMMENT 'The period''s total, 90th percentile, in unit.',
    `chance_of_exceeding` Nullable(Float64)        COMMENT 'Chance that the total exceeds the limit.',
    `exhausted_on`   Nullable(DateTime64(6, 'UTC')) COMMENT 'When the limit is expected to be used up.',
    `watermark`      Nullable(DateTime64(6, 'UTC')) COMMENT 'Event time up to which the figure is complete.',
    `evaluated_at`   DateTime64(6, 'UTC')          COMMENT 'When the figure was made; the newest rules.',
    `inserted_at`    DateTime64(6, 'UTC')          COMMENT 'When the sink inserted it. The TTL counts from here.'
)
ENGINE = ReplacingMergeTree(evaluated_at)
ORDER BY (budget_id, period_start)
COMMENT 'What each budget stood at last, by period. Read with FINAL.';
