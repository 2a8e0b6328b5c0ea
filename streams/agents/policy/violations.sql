-- Calls on which one rule has something to say, in a span of event time, for people to paste.
SELECT
    team_id,
    use_case,
    workflow,
    model,
    data_class,
    approval,
    count() AS calls,
    sum(cost_usd) AS cost_usd,
    any(event_id) AS event_id
FROM usage_events
WHERE policy_rule = '$rule'
  AND policy_verdict = '$verdict'$conditions
  AND occurred_at >= toDateTime64('$start', 6, 'UTC')
  AND occurred_at < toDateTime64('$end', 6, 'UTC')
GROUP BY team_id, use_case, workflow, model, data_class, approval
ORDER BY calls DESC
LIMIT 20
