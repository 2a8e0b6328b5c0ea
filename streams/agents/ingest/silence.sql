-- When one source was heard last, hour by hour, for people to paste.
SELECT
    toStartOfHour(ingested_at) AS hour,
    count() AS events
FROM usage_events
WHERE source = '$source'
  AND ingested_at >= toDateTime64('$start', 6, 'UTC')
GROUP BY hour
ORDER BY hour DESC
LIMIT 48
