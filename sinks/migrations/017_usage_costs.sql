-- What calls cost, with what was corrected later: each usage event as it was written, and each new price that it got since, as
-- an entry of its own. Sum over both. Entries count at `booked_at`: a correction of an open month at its event's own time,
-- one of a closed month when it was made, so that the figures of a closed month stay what they were.
CREATE OR REPLACE VIEW usage_costs
(
    `entry`                 LowCardinality(String)           COMMENT 'event: a call as it was written; reprice: what a later price changed about one.',
    `booked_at`             DateTime64(6, 'UTC')             COMMENT 'Time at which the entry counts.',
    `occurred_at`           DateTime64(6, 'UTC')             COMMENT 'Event time of the call.',
    `source`                LowCardinality(String)           COMMENT 'Who reported the call.',
    `event_id`              String                           COMMENT 'Unique within source.',
    `team_id`               LowCardinality(Nullable(String)) COMMENT 'Team; NULL: unattributed.',
    `department`            LowCardinality(Nullable(String)) COMMENT 'Department; NULL: unattributed.',
    `cost_center`           LowCardinality(Nullable(String)) COMMENT 'Cost centre; NULL: unattributed.',
    `project_id`            LowCardinality(Nullable(String)) COMMENT 'Project, repository or product the call worked for.',
    `use_case`              LowCardinality(Nullable(String)) COMMENT 'Use case; NULL: calls that named none.',
    `stage`                 LowCardinality(Nullable(String)) COMMENT 'exploratory or production.',
    `model`                 LowCardinality(String)           COMMENT 'Model asked for.',
    `model_class`           LowCardinality(Nullable(String)) COMMENT 'Class of the model in the catalogue.',
    `calls`                 Int64                            COMMENT '1 for a call, 0 for a correction.',
    `errors`                Int64                            COMMENT '1 for a call that did not end ok.',
    `unpriced_calls`        Int64                            COMMENT '1 for a call without a price, -1 where a correction gave it one.',
    `input_tokens`          Int64                            COMMENT 'Prompt tokens, including cache.',
    `cache_read_tokens`     Int64                            COMMENT 'Part of input_tokens read from the provider''s cache.',
    `output_tokens`         Int64                            COMMENT 'Completion tokens, including reasoning.',
    `cost_nanousd`          Nullable(Int64)                  COMMENT 'Cost, or its difference, in billionths of a US dollar; NULL for a call that was unpriced.',
    `cost_usd`              Nullable(Decimal(18, 9))         COMMENT 'The same in US dollars, exact.',
    `provisional_nanousd`   Int64                            COMMENT 'What USD caps hold against an unpriced call, or its difference. Never part of cost.',
    `reported_cost_nanousd` Nullable(Int64)                  COMMENT 'What the reporter says the call cost.',
    `rate_card`             LowCardinality(String)           COMMENT 'Version of the rate card that priced the entry.',
    `adjustment_id`         LowCardinality(String)           COMMENT 'The adjustment that made the entry; empty for a call.'
)
AS SELECT
    CAST('event', 'LowCardinality(String)') AS entry,
    occurred_at AS booked_at,
    occurred_at,
    source,
    event_id,
    team_id,
    department,
    cost_center,
    project_id,
    use_case,
    stage,
    model,
    model_class,
    toInt64(1) AS calls,
    toInt64(status != 'ok') AS errors,
    toInt64(cost_nanousd IS NULL) AS unpriced_calls,
    input_tokens,
    cache_read_tokens,
    output_tokens,
    cost_nanousd,
    toDecimal64(cost_nanousd, 0) * toDecimal64('0.000000001', 9) AS cost_usd,
    provisional_nanousd,
    reported_cost_nanousd,
    rate_card,
    CAST('', 'LowCardinality(String)') AS adjustment_id
FROM usage_events_raw FINAL
UNION ALL
SELECT
    kind,
    booked_at,
    occurred_at,
    source,
    event_id,
    team_id,
    department,
    cost_center,
    project_id,
    use_case,
    stage,
    model,
    model_class,
    calls,
    toInt64(0),
    unpriced,
    input_tokens,
    toInt64(0),
    output_tokens,
    toNullable(cost_nanousd),
    toNullable(toDecimal64(cost_nanousd, 0) * toDecimal64('0.000000001', 9)),
    provisional_nanousd,
    CAST(NULL, 'Nullable(Int64)'),
    rate_card,
    adjustment_id
FROM usage_adjustments FINAL
WHERE kind = 'reprice'
COMMENT 'Costs as booked: usage events and, as entries of their own, the prices that they got later.';
-- As in 008, over usage_costs: prices that came later count on the day for which they are booked.
--
-- The trend of each team: what it used per day, and the average of the seven days that end with it. A day without use has
-- no row but counts as zero in the average; a team's first six days are averaged over the days since its first use.
CREATE OR REPLACE VIEW usage_daily_by_team
(
    `day`               Date                             COMMENT 'Day of event time, UTC.',
    `team_id`           LowCardinality(Nullable(String)) COMMENT 'Team; NULL: calls that nobody could attribute.',
    `calls`             UInt64                           COMMENT 'Calls.',
    `errors`            UInt64                           COMMENT 'Calls that did not end ok.',
    `input_tokens`      Int64                            COMMENT 'Prompt tokens, including cache. A supporting figure.',
    `cache_read_tokens` Int64                            COMMENT 'Part of input_tokens read from the provider''s cache.',
    `output_tokens`     Int64                            COMMENT 'Completion tokens, including reasoning. A supporting figure.',
    `tokens`            Int64                            COMMENT 'Input and output tokens. A supporting figure.',
    `cost_usd`          Decimal(38, 9)                   COMMENT 'Cost of the priced calls, corrections included, US dollars.',
    `unpriced_calls`    UInt64                           COMMENT 'Calls whose cost is unknown and missing in cost_usd.',
    `cost_usd_7d_avg`   Float64                          COMMENT 'Average daily cost over seven days, days without use as zero.',
    `calls_7d_avg`      Float64                          COMMENT 'Average daily calls over seven days, days without use as zero.',
    `tokens_7d_avg`     Float64                          COMMENT 'Average daily tokens over seven days, days without use as zero.'
)
AS SELECT
    day,
    team_id,
    day_calls AS calls,
    day_errors AS errors,
    day_input AS input_tokens,
    day_cache_read AS cache_read_tokens,
    day_output AS output_tokens,
    day_input + day_output AS tokens,
    toDecimal128(day_cost, 9) / 1000000000 AS cost_usd,
    day_unpriced AS unpriced_calls,
    sum(day_cost) OVER week / 1000000000 / least(7, dateDiff('day', first_day, day) + 1) AS cost_usd_7d_avg,
    sum(day_calls) OVER week / least(7, dateDiff('day', first_day, day) + 1) AS calls_7d_avg,
    sum(day_input + day_output) OVER week / least(7, dateDiff('day', first_day, day) + 1) AS tokens_7d_avg
FROM
(
    SELECT
        *,
        min(day) OVER (PARTITION BY team_id) AS first_day
    FROM
    (
        SELECT
            toDate(booked_at) AS day,
            team_id,
            toUInt64(sum(calls)) AS day_calls,
            toUInt64(sum(errors)) AS day_errors,
            sum(input_tokens) AS day_input,
            sum(cache_read_tokens) AS day_cache_read,
            sum(output_tokens) AS day_output,
            ifNull(sum(cost_nanousd), 0) AS day_cost,
            toUInt64(greatest(sum(unpriced_calls), 0)) AS day_unpriced
        FROM usage_costs
        GROUP BY day, team_id
    )
)
WINDOW week AS (PARTITION BY team_id ORDER BY day RANGE BETWEEN 6 PRECEDING AND CURRENT ROW)
COMMENT 'Daily use and cost per team with the seven-day moving average.';
-- As in 009, over usage_costs: prices that came later count in the week for which they are booked.
--
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
    `cost_usd`              Decimal(38, 9)           COMMENT 'Cost of the priced calls, corrections included, US dollars.',
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
            toMonday(toDate(booked_at)) AS week,
            sum(calls) AS calls,
            sum(input_tokens + output_tokens) AS tokens,
            ifNull(sum(cost_nanousd), 0) AS cost,
            sum(unpriced_calls) AS unpriced
        FROM usage_costs
        WHERE team_id IS NOT NULL
        GROUP BY team_id, week
    ),
    cohorts AS
    (
        SELECT team_id, min(week) AS cohort_week, count() OVER (PARTITION BY min(week)) AS cohort_teams
        FROM weeks
        WHERE calls > 0
        GROUP BY team_id
    )
SELECT
    cohort_week,
    dateDiff('week', cohort_week, week) AS age_weeks,
    any(cohorts.cohort_teams) AS cohort_teams,
    uniqExactIf(activity.team_id, activity.calls > 0) AS active_teams,
    toUInt64(sum(activity.calls)) AS calls,
    sum(activity.tokens) AS tokens,
    toDecimal128(sum(activity.cost), 9) / 1000000000 AS cost_usd,
    toUInt64(greatest(sum(activity.unpriced), 0)) AS unpriced_calls,
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
-- As in 010, over usage_costs: prices that came later count in the week for which they are booked.
--
-- What an outcome costs, by use case and week, and how good it is. The cost of every call counts, of failures too; only
-- outcomes that were reached and held divide it. quality has the mean score of each kind, because scales do not mix.
CREATE OR REPLACE VIEW cost_per_outcome
(
    `week`                 Date                             COMMENT 'Monday of the week of event time, UTC.',
    `use_case`             LowCardinality(Nullable(String)) COMMENT 'Use case; NULL: calls that named none.',
    `calls`                UInt64                           COMMENT 'Calls.',
    `cost_usd`             Decimal(38, 9)                   COMMENT 'Cost of the priced calls, corrections included, US dollars.',
    `unpriced_calls`       UInt64                           COMMENT 'Calls whose cost is unknown and missing in cost_usd.',
    `outcomes_succeeded`   UInt64                           COMMENT 'Outcomes that were reached and held.',
    `outcomes_failed`      UInt64                           COMMENT 'Outcomes that were not.',
    `cost_per_outcome_usd` Nullable(Decimal(38, 9))         COMMENT 'cost_usd by outcomes_succeeded; NULL without a success.',
    `calls_per_outcome`    Nullable(Float64)                COMMENT 'Calls by outcomes_succeeded; NULL without a success.',
    `success_rate`         Nullable(Float64)                COMMENT 'Succeeded outcomes as a fraction of all; NULL without any.',
    `quality`              Map(String, Float64)             COMMENT 'Mean score of the succeeded and failed outcomes that have one, by quality_kind.',
    `minutes_saved`        Float64                          COMMENT 'Human minutes saved, where measured.',
    `value_usd`            Decimal(38, 9)                   COMMENT 'Business value, where stated, US dollars.',
    `incidents`            UInt64                           COMMENT 'Outcomes that were compliance or safety incidents.'
)
AS SELECT
    week,
    use_case,
    toUInt64(sum(part.calls)) AS calls,
    toDecimal128(sum(part.cost), 9) / 1000000000 AS cost_usd,
    toUInt64(greatest(sum(part.unpriced), 0)) AS unpriced_calls,
    sum(part.succeeded) AS outcomes_succeeded,
    sum(part.failed) AS outcomes_failed,
    toDecimal128(sum(part.cost), 9) / 1000000000 / nullIf(sum(part.succeeded), 0) AS cost_per_outcome_usd,
    sum(part.calls) / nullIf(sum(part.succeeded), 0) AS calls_per_outcome,
    sum(part.succeeded) / nullIf(sum(part.succeeded) + sum(part.failed), 0) AS success_rate,
    CAST((groupArrayIf(quality_kind, scored > 0), groupArrayIf(mean_quality, scored > 0)), 'Map(String, Float64)') AS quality,
    sum(part.minutes) AS minutes_saved,
    toDecimal128(sum(part.value), 9) / 1000000000 AS value_usd,
    sum(part.incidents) AS incidents
FROM
(
    SELECT
        toMonday(toDate(booked_at)) AS week,
        use_case,
        '' AS quality_kind,
        sum(calls) AS calls,
        ifNull(sum(cost_nanousd), 0) AS cost,
        sum(unpriced_calls) AS unpriced,
        0 AS succeeded,
        0 AS failed,
        0 AS scored,
        0. AS mean_quality,
        0. AS minutes,
        0 AS value,
        0 AS incidents
    FROM usage_costs
    GROUP BY week, use_case
    UNION ALL
    SELECT
        toMonday(toDate(occurred_at)) AS week,
        use_case,
        ifNull(toString(quality_kind), '') AS quality_kind,
        0,
        0,
        0,
        countIf(succeeded),
        countIf(NOT succeeded),
        count(quality),
        ifNull(avg(quality), 0.),
        ifNull(sum(minutes_saved), 0.),
        ifNull(sum(value_nanousd), 0),
        count(incident)
    FROM usage_outcomes FINAL
    GROUP BY week, use_case, quality_kind
) AS part
GROUP BY week, use_case
COMMENT 'Cost per outcome and quality by use case and week.';
-- As in 011, over usage_costs, with a column of its own for what was corrected later.
--
-- Showback: what each department and cost centre used, by month, at the attribution the calls were enriched with.
CREATE OR REPLACE VIEW showback_monthly
(
    `month`           Date                             COMMENT 'First day of the month, UTC: that of the event, or that in which a correction of a closed month was made.',
    `department`      LowCardinality(Nullable(String)) COMMENT 'Department; NULL: unattributed.',
    `cost_center`     LowCardinality(Nullable(String)) COMMENT 'Cost centre; NULL: unattributed.',
    `team_id`         LowCardinality(Nullable(String)) COMMENT 'Team; NULL: unattributed.',
    `use_case`        LowCardinality(Nullable(String)) COMMENT 'Use case; NULL: calls that named none.',
    `stage`           LowCardinality(Nullable(String)) COMMENT 'exploratory or production.',
    `calls`           UInt64                           COMMENT 'Calls.',
    `tokens`          Int64                            COMMENT 'Input and output tokens. A supporting figure.',
    `cost_usd`        Decimal(38, 9)                   COMMENT 'Cost of the priced calls, corrections included, US dollars.',
    `adjustments_usd` Decimal(38, 9)                   COMMENT 'Part of cost_usd: prices that came later, booked in this month.',
    `unpriced_calls`  UInt64                           COMMENT 'Calls whose cost is unknown and missing in cost_usd.',
    `provisional_usd` Decimal(38, 9)                   COMMENT 'What USD caps hold against the unpriced calls; not a cost.',
    `reported_usd`    Decimal(38, 9)                   COMMENT 'What the reporters say their calls cost, where they say it.'
)
AS SELECT
    toStartOfMonth(toDate(booked_at)) AS month,
    department,
    cost_center,
    team_id,
    use_case,
    stage,
    toUInt64(sum(entries.calls)) AS calls,
    sum(input_tokens + output_tokens) AS tokens,
    toDecimal128(ifNull(sum(cost_nanousd), 0), 9) / 1000000000 AS cost_usd,
    toDecimal128(ifNull(sumIf(cost_nanousd, entry != 'event'), 0), 9) / 1000000000 AS adjustments_usd,
    toUInt64(greatest(sum(entries.unpriced_calls), 0)) AS unpriced_calls,
    toDecimal128(sum(provisional_nanousd), 9) / 1000000000 AS provisional_usd,
    toDecimal128(ifNull(sum(reported_cost_nanousd), 0), 9) / 1000000000 AS reported_usd
FROM usage_costs AS entries
GROUP BY month, department, cost_center, team_id, use_case, stage
COMMENT 'Monthly cost by department, cost centre, team, use case and stage.';
