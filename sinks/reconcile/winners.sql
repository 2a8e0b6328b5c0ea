-- Where the first delivery of some events stands, which is the one that is kept.
SELECT
    toUnixTimestamp(toStartOfHour(occurred_at)) AS hour,
    model,
    source,
    event_id,
    log,
    src_partition,
    src_offset,
    src_index
FROM usage_events_raw FINAL
WHERE toStartOfHour(occurred_at) IN (SELECT toDateTime(arrayJoin({hours:Array(UInt32)}), 'UTC'))
    AND event_id IN {ids:Array(String)}
