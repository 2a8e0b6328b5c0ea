-- What cost most within a scope and a span of event time, for people to paste.
SELECT
    use_case,
    model,
    count() AS calls,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_usd) AS cost_usd
FROM usage_events
WHERE occurred_at >= toDateTime64('$start', 6, 'UTC')
  AND occurred_at < toDateTime64('$end', 6, 'UTC')$conditions
GROUP BY use_case, model
ORDER BY cost_usd DESC
LIMIT 20
