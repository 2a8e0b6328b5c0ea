-- What rose in a scope: a span of event time beside the same span a week before, for people to paste.
SELECT
    use_case,
    workflow,
    workflow_version,
    model,
    client_name,
    credential_id,
    countIf(is_now) AS calls,
    countIf(NOT is_now) AS calls_before,
    countIf(is_now AND status != 'ok') AS not_ok,
    countIf(is_now AND attempt > 1) AS retries,
    uniqIf(session_id, is_now) AS sessions,
    sumIf(cost_usd, is_now) AS cost,
    sumIf(cost_usd, NOT is_now) AS cost_before
FROM
(
    SELECT *, occurred_at >= toDateTime64('$start', 6, 'UTC') AS is_now
    FROM usage_events
    WHERE (occurred_at >= toDateTime64('$start', 6, 'UTC') AND occurred_at < toDateTime64('$end', 6, 'UTC')
        OR occurred_at >= toDateTime64('$start_before', 6, 'UTC') AND occurred_at < toDateTime64('$end_before', 6, 'UTC'))$conditions
)
GROUP BY use_case, workflow, workflow_version, model, client_name, credential_id
ORDER BY cost - cost_before DESC
LIMIT 20
