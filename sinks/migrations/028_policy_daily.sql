-- What the policies made of calls, by day and by whom; calls that no policy speaks of have a NULL verdict. Shares of all
-- calls are sums over these rows: governed are those with a verdict.
CREATE OR REPLACE VIEW policy_daily
(
    `day`             Date                             COMMENT 'Day of event time, UTC.',
    `policy_rule`     LowCardinality(Nullable(String)) COMMENT 'Policy, exception, model/ID, (use_case) or (data_class) that gave the verdict.',
    `policy_verdict`  LowCardinality(Nullable(String)) COMMENT 'forbidden, unapproved, needs_review, missing_fields, unclear, discouraged, excepted or allowed; NULL where none speaks of the call.',
    `is_violation`    Bool                             COMMENT 'forbidden, unapproved, needs_review or missing_fields.',
    `department`      LowCardinality(Nullable(String)) COMMENT 'Department; NULL: unattributed.',
    `team_id`         LowCardinality(Nullable(String)) COMMENT 'Team; NULL or unattributed where nobody knows it.',
    `use_case`        LowCardinality(Nullable(String)) COMMENT 'Use case.',
    `workflow`        LowCardinality(Nullable(String)) COMMENT 'Workflow, agent or pipeline within the use case.',
    `stage`           LowCardinality(Nullable(String)) COMMENT 'exploratory or production.',
    `data_class`      Nullable(String)                 COMMENT 'Sensitivity of the data sent.',
    `model_class`     LowCardinality(Nullable(String)) COMMENT 'Class of the model in the catalogue.',
    `model`           LowCardinality(String)           COMMENT 'Model asked for.',
    `retention_class` LowCardinality(Nullable(String)) COMMENT 'Retention class by policy.',
    `calls`           UInt64                           COMMENT 'Calls.',
    `cost_usd`        Decimal(38, 9)                   COMMENT 'Cost of the priced calls, US dollars.',
    `unpriced_calls`  UInt64                           COMMENT 'Calls whose cost is unknown and missing in cost_usd.'
)
AS SELECT
    toDate(occurred_at) AS day,
    policy_rule,
    policy_verdict,
    CAST(ifNull(policy_verdict IN ('forbidden', 'unapproved', 'needs_review', 'missing_fields'), 0), 'Bool') AS is_violation,
    department,
    team_id,
    use_case,
    workflow,
    stage,
    data_class,
    model_class,
    model,
    retention_class,
    count() AS calls,
    toDecimal128(ifNull(sum(cost_nanousd), 0), 9) / 1000000000 AS cost_usd,
    countIf(cost_nanousd IS NULL) AS unpriced_calls
FROM usage_events
GROUP BY
    day, policy_rule, policy_verdict, department, team_id, use_case, workflow, stage, data_class, model_class, model,
    retention_class
COMMENT 'Verdicts of the policies by day, rule and team.';
