-- What does an outcome cost? Every call counts, failures too, and is divided by the outcomes that were reached and held.
SELECT
    use_case,
    sum(o.calls) AS calls,
    round(sum(o.cost_usd), 2) AS usd,
    sum(o.outcomes_succeeded) AS outcomes,
    round(sum(o.cost_usd) / sum(o.outcomes_succeeded), 4) AS usd_per_outcome,
    round(100 * sum(o.outcomes_succeeded) / sum(o.outcomes_succeeded + o.outcomes_failed), 1) AS percent_succeeded
FROM cost_per_outcome AS o
GROUP BY use_case
HAVING outcomes > 0
ORDER BY usd DESC
LIMIT 8
