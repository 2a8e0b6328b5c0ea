-- Whose hash stands behind a rise, for the scope's owner to paste. Analysts may not read user_hash: it needs a user to whom it
-- was granted by name, and log_comment leaves in system.query_log who asked for it, when, and about which alert.
SELECT user_hash, count() AS calls, uniq(session_id) AS sessions, sum(cost_nanousd) / 1e9 AS cost_usd
FROM usage_events_raw FINAL
WHERE occurred_at >= toDateTime64('$start', 6, 'UTC')
  AND occurred_at < toDateTime64('$end', 6, 'UTC')$conditions
GROUP BY user_hash
ORDER BY cost_usd DESC
LIMIT 10
SETTINGS log_comment = 'who is behind $alert'
