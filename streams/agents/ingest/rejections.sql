-- What was refused of one source in a span of broker time, for people to paste.
SELECT
    code,
    count() AS events,
    any(message) AS example,
    any(event_id) AS event_id
FROM usage_rejected FINAL
WHERE ifNull(source, '(unreadable)') = '$source'
  AND appended_at >= toDateTime64('$start', 6, 'UTC')
  AND appended_at < toDateTime64('$end', 6, 'UTC')
GROUP BY code
ORDER BY events DESC
LIMIT 20
