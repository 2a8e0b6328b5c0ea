-- Every state of every alert, as published: firing, updated, resolved.
CREATE TABLE IF NOT EXISTS governance_alerts
(
    `alert_id`          String                     COMMENT 'The same for all states of one crossing or episode, and in every replay.',
    `revision`          UInt32                     COMMENT '0 when firing, then one more for each update and for the resolution.',
    `kind`              LowCardinality(String)     COMMENT 'budget, spike, forecast, workflow_regression, value_divergence, policy, ingest_quality or source_silent.',
    `state`             LowCardinality(String)     COMMENT 'firing, updated or resolved.',
    `severity`          LowCardinality(String)     COMMENT 'info, warning or critical.',
    `historical`        Bool                       COMMENT 'Raised by a replay or backfill of old event time: recorded, never forwarded.',
    `department`        LowCardinality(Nullable(String)) COMMENT 'Scope: department.',
    `team_id`           LowCardinality(Nullable(String)) COMMENT 'Scope: team.',
    `project_id`        LowCardinality(Nullable(String)) COMMENT 'Scope: project.',
    `use_case`          LowCardinality(Nullable(String)) COMMENT 'Scope: use case.',
    `stage`             LowCardinality(Nullable(String)) COMMENT 'Scope: stage.',
    `model_class`       LowCardinality(Nullable(String)) COMMENT 'Scope: model class.',
    `owner`             Nullable(String)           COMMENT 'Who owns what the alert is about.',
    `contact`           Nullable(String)           COMMENT 'Where the owner is reached.',
    `window_start`      DateTime64(6, 'UTC')       COMMENT 'Event time: start of the budget''s period or of the episode.',
    `window_end`        DateTime64(6, 'UTC')       COMMENT 'Event time: its end.',
    `unit`              LowCardinality(String)     COMMENT 'Unit of observed, expected and limit: nanousd, tokens or calls.',
    `observed`          Int64                      COMMENT 'What was seen, in unit.',
    `expected`          Nullable(Int64)            COMMENT 'What was expected, in unit.',
    `limit`             Nullable(Int64)            COMMENT 'The limit, in unit.',
    `budget_id`         LowCardinality(Nullable(String)) COMMENT 'Budget, where one was crossed.',
    `level`             LowCardinality(Nullable(String)) COMMENT 'warning, soft or hard.',
    `mode`              LowCardinality(Nullable(String)) COMMENT 'observe, warn or enforce.',
    `summary`           String                     COMMENT 'One sentence for people.',
    `explanation`       String                     COMMENT 'JSON array of causes: factor, label, delta, share, before, after.' CODEC(ZSTD(3)),
    `unexplained_share` Nullable(Float64)          COMMENT 'Part of the change that no cause explains.',
    `suggested_action`  String                     COMMENT 'What to do.',
    `links`             String                     COMMENT 'JSON array of links: rel, href.' CODEC(ZSTD(3)),
    `occurred_at`       DateTime64(6, 'UTC')       COMMENT 'Event time of the crossing or of the episode''s start.',
    `evaluated_at`      DateTime64(6, 'UTC')       COMMENT 'When it was noticed. The TTL counts from inserted_at.',
    `inserted_at`       DateTime64(6, 'UTC')       COMMENT 'When the sink inserted it.'
)
ENGINE = ReplacingMergeTree(evaluated_at)
ORDER BY (alert_id, revision)
COMMENT 'Alerts as published, one row per state. Read with FINAL.';
