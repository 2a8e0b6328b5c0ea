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
    `cost_usd`          Decimal(38, 9)                   COMMENT 'Cost of the priced calls, US dollars.',
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
            toDate(occurred_at) AS day,
            team_id,
            count() AS day_calls,
            countIf(status != 'ok') AS day_errors,
            sum(input_tokens) AS day_input,
            sum(cache_read_tokens) AS day_cache_read,
            sum(output_tokens) AS day_output,
            ifNull(sum(cost_nanousd), 0) AS day_cost,
            countIf(cost_nanousd IS NULL) AS day_unpriced
        FROM usage_events
        GROUP BY day, team_id
    )
)
WINDOW week AS (PARTITION BY team_id ORDER BY day RANGE BETWEEN 6 PRECEDING AND CURRENT ROW)
COMMENT 'Daily use and cost per team with the seven-day moving average.';
