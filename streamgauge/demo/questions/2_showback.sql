-- Who is shown which cost? What nobody could attribute or price stands in plain sight.
SELECT
    ifNull(s.department, 'unattributed') AS department,
    ifNull(s.cost_center, '') AS cost_center,
    sum(s.calls) AS calls,
    round(sum(s.cost_usd), 2) AS usd,
    sum(s.unpriced_calls) AS unpriced_calls
FROM showback_monthly AS s
GROUP BY department, cost_center
ORDER BY usd DESC
LIMIT 8
