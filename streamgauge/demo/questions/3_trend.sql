-- Whose daily cost moved most within a week? Seven-day averages, so that a weekend is no news.
WITH (SELECT max(day) FROM usage_daily_by_team) AS today
SELECT
    ifNull(team_id, 'unattributed') AS team,
    round(maxIf(cost_usd_7d_avg, day = today - 8), 2) AS usd_a_day_last_week,
    round(maxIf(cost_usd_7d_avg, day = today - 1), 2) AS usd_a_day_this_week,
    round(usd_a_day_this_week - usd_a_day_last_week, 2) AS change
FROM usage_daily_by_team
GROUP BY team
ORDER BY abs(change) DESC
LIMIT 6
