-- Showback: what each department and cost centre used, by month of event time, at the attribution the calls were enriched with.
CREATE OR REPLACE VIEW showback_monthly
(
    `month`           Date                             COMMENT 'First day of the month of event time, UTC.',
    `department`      LowCardinality(Nullable(String)) COMMENT 'Department; NULL: unattributed.',
    `cost_center`     LowCardinality(Nullable(String)) COMMENT 'Cost centre; NULL: unattributed.',
    `team_id`         LowCardinality(Nullable(String)) COMMENT 'Team; NULL: unattributed.',
    `use_case`        LowCardinality(Nullable(String)) COMMENT 'Use case; NULL: calls that named none.',
    `stage`           LowCardinality(Nullable(String)) COMMENT 'exploratory or production.',
    `calls`           UInt64                           COMMENT 'Calls.',
    `tokens`          Int64                            COMMENT 'Input and output tokens. A supporting figure.',
    `cost_usd`        Decimal(38, 9)                   COMMENT 'Cost of the priced calls, US dollars.',
    `unpriced_calls`  UInt64                           COMMENT 'Calls whose cost is unknown and missing in cost_usd.',
    `provisional_usd` Decimal(38, 9)                   COMMENT 'What USD caps hold against the unpriced calls; not a cost.',
    `reported_usd`    Decimal(38, 9)                   COMMENT 'What the reporters say their calls cost, where they say it.'
)
AS SELECT
    toStartOfMonth(toDate(occurred_at)) AS month,
    department,
    cost_center,
    team_id,
    use_case,
    stage,
    count() AS calls,
    sum(input_tokens + output_tokens) AS tokens,
    toDecimal128(ifNull(sum(cost_nanousd), 0), 9) / 1000000000 AS cost_usd,
    countIf(cost_nanousd IS NULL) AS unpriced_calls,
    toDecimal128(sum(provisional_nanousd), 9) / 1000000000 AS provisional_usd,
    toDecimal128(ifNull(sum(reported_cost_nanousd), 0), 9) / 1000000000 AS reported_usd
FROM usage_events
GROUP BY month, department, cost_center, team_id, use_case, stage
COMMENT 'Monthly cost by department, cost centre, team, use case and stage.';
