-- What a call of one workflow costs by day and version, for people to paste.
SELECT
    toDate(occurred_at) AS day,
    workflow_version,
    prompt_template,
    model,
    count() AS calls,
    sum(cost_usd) / count() AS cost_per_call_usd,
    avg(input_tokens) AS input_per_call,
    sum(cache_read_tokens) / greatest(sum(input_tokens), 1) AS cache_share,
    avg(output_tokens) AS output_per_call
FROM usage_events
WHERE $team
  AND workflow = '$workflow'
  AND occurred_at >= toDateTime64('$start', 6, 'UTC')
  AND occurred_at < toDateTime64('$end', 6, 'UTC')
GROUP BY day, workflow_version, prompt_template, model
ORDER BY day, calls DESC
