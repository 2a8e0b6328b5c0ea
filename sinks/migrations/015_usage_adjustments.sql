-- What was corrected after it had been counted, one row per event and adjustment, all figures as differences. The rows of
-- usage_events_raw stay as they were written. `reprice`: a model that had no price, or a wrong one, has the right one now.
-- `resend`: an event was counted twice in budgets and alerts; ClickHouse keeps it once by itself, so views leave these out.
--
-- Sorting key: the event's source position, then the adjustment. Both are the same in every delivery of the row.
CREATE TABLE IF NOT EXISTS usage_adjustments
(
    `log`                 LowCardinality(String)           COMMENT 'Identity of the log that src_offset counts in: cluster and topic id.',
    `src_partition`       Int32                            COMMENT 'Partition of usage.events of the corrected event.' CODEC(T64, ZSTD(1)),
    `src_offset`          Int64                            COMMENT 'Offset of its message in that partition.' CODEC(T64, ZSTD(1)),
    `src_index`           Int32                            COMMENT 'Place of the event in a batch message, from 0.' CODEC(T64, ZSTD(1)),
    `source`              LowCardinality(String)           COMMENT 'Who reported the event.',
    `event_id`            String                           COMMENT 'Unique within source.' CODEC(ZSTD(1)),
    `occurred_at`         DateTime64(6, 'UTC')             COMMENT 'Event time: when the call was made.' CODEC(Delta, ZSTD(1)),
    `booked_at`           DateTime64(6, 'UTC')             COMMENT 'Time at which the difference counts: the event''s own in an open month, that of the adjustment for a closed one.' CODEC(Delta, ZSTD(1)),
    `team_id`             LowCardinality(Nullable(String)) COMMENT 'Team of the event; NULL when nobody knows it.',
    `department`          LowCardinality(Nullable(String)) COMMENT 'Department of the event.',
    `cost_center`         LowCardinality(Nullable(String)) COMMENT 'Cost centre of the event.',
    `project_id`          LowCardinality(Nullable(String)) COMMENT 'Project of the event.',
    `use_case`            LowCardinality(Nullable(String)) COMMENT 'Use case of the event.',
    `stage`               LowCardinality(Nullable(String)) COMMENT 'exploratory or production.',
    `model`               LowCardinality(String)           COMMENT 'Model asked for.',
    `model_class`         LowCardinality(Nullable(String)) COMMENT 'Class of the model in the catalogue.',
    `calls`               Int64                            COMMENT 'Difference: calls. 0 for a new price.' CODEC(T64, ZSTD(1)),
    `input_tokens`        Int64                            COMMENT 'Difference: prompt tokens. 0 for a new price.' CODEC(T64, ZSTD(1)),
    `output_tokens`       Int64                            COMMENT 'Difference: completion tokens. 0 for a new price.' CODEC(T64, ZSTD(1)),
    `cost_nanousd`        Int64                            COMMENT 'Difference: cost in billionths of a US dollar.' CODEC(T64, ZSTD(1)),
    `provisional_nanousd` Int64                            COMMENT 'Difference: what USD caps hold against an unpriced call. Never part of cost.' CODEC(T64, ZSTD(1)),
    `rate_card`           LowCardinality(String)           COMMENT 'Version of the rate card of the new price.',
    `unpriced`            Int64                            COMMENT 'Difference: calls without a price; -1 where a call of an open month has one now.' CODEC(T64, ZSTD(1)),
    `adjustment_id`       LowCardinality(String)           COMMENT 'The adjustment, which is all or nothing.',
    `kind`                LowCardinality(String)           COMMENT 'reprice or resend.',
    `reason`              LowCardinality(String)           COMMENT 'Why, in a sentence.',
    `made_by`             LowCardinality(String)           COMMENT 'Who gave the command.',
    `made_at`             DateTime64(6, 'UTC')             COMMENT 'When the adjustment was made.' CODEC(Delta, ZSTD(1)),
    `position`            Int64                            COMMENT 'Offset of its message on usage.adjustments.' CODEC(Delta, ZSTD(1)),
    `inserted_at`         DateTime64(6, 'UTC')             COMMENT 'When the sink inserted it.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY (log, src_partition, src_offset, src_index, adjustment_id)
COMMENT 'Corrections of counted events, as differences. Read with FINAL, or as part of the view usage_costs.';
