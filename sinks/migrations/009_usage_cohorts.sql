-- Cohorts: teams by the week of their first use, and what each cohort used, cost and achieved at each age. Cost per outcome
-- has the cost of every call above the line, failures included, and successes alone below it.
CREATE OR REPLACE VIEW usage_cohorts
(
    `cohort_week`           Date                     COMMENT 'Monday of the week of the teams'' first use, UTC.',
    `age_weeks`             Int64                    COMMENT 'Weeks since the cohort''s first week, which is 0.',
    `cohort_teams`          UInt64                   COMMENT 'Teams in the cohort.',
    `active_teams`          UInt64                   COMMENT 'Those of them with calls at this age.',
    `calls`                 UInt64                   COMMENT 'Calls.',
    `tokens`                Int64                    COMMENT 'Input and output tokens. A supporting figure.',
    `cost_usd`              Decimal(38, 9)           COMMENT 'Cost of the priced calls, US dollars.',
    `unpriced_calls`        UInt64                   COMMENT 'Calls whose cost is unknown and missing in cost_usd.',
    `outcomes`              UInt64                   COMMENT 'Outcomes, reached or not.',
    `outcomes_succeeded`    UInt64                   COMMENT 'Outcomes that were reached and held.',
    `cost_per_outcome_usd`  Nullable(Decimal(38, 9)) COMMENT 'cost_usd by outcomes_succeeded; NULL without a success.'
)
AS WITH
    weeks AS
    (
        SELECT
            team_id,
            toMonday(toDate(occurred_at)) AS week,
            count() AS calls,
            sum(input_tokens + output_tokens) AS tokens,
            ifNull(sum(cost_nanousd), 0) AS cost,
            countIf(cost_nanousd IS NULL) AS unpriced
        FROM usage_events
        WHERE team_id IS NOT NULL
        GROUP BY team_id, week
    ),
    cohorts AS
    (
        SELECT team_id, min(week) AS cohort_week, count() OVER (PARTITION BY min(week)) AS cohort_teams
        FROM weeks
        GROUP BY team_id
    )
SELECT
    cohort_week,
    dateDiff('week', cohort_week, week) AS age_weeks,
    any(cohorts.cohort_teams) AS cohort_teams,
    uniqExactIf(activity.team_id, activity.calls > 0) AS active_teams,
    sum(activity.calls) AS calls,
    sum(activity.tokens) AS tokens,
    toDecimal128(sum(activity.cost), 9) / 1000000000 AS cost_usd,
    sum(activity.unpriced) AS unpriced_calls,
    sum(activity.outcomes) AS outcomes,
    sum(activity.succeeded) AS outcomes_succeeded,
    toDecimal128(sum(activity.cost), 9) / 1000000000 / nullIf(sum(activity.succeeded), 0) AS cost_per_outcome_usd
FROM
(
    SELECT team_id, week, calls, tokens, cost, unpriced, 0 AS outcomes, 0 AS succeeded FROM weeks
    UNION ALL
    SELECT
        team_id,
        toMonday(toDate(occurred_at)) AS week,
        0,
        0,
        0,
        0,
        count(),
        countIf(succeeded)
    FROM usage_outcomes FINAL
    GROUP BY team_id, week
) AS activity
INNER JOIN cohorts ON cohorts.team_id = activity.team_id
GROUP BY cohort_week, week
COMMENT 'Cohorts of teams by first week of use: tokens, cost and cost per outcome by age in weeks.';
