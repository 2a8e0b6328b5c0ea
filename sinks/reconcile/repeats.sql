-- Positions at which more than one row stands: an event has one. The view shows at most one of them.
SELECT src_partition, src_offset, src_index, count() AS times
FROM usage_events_raw
WHERE toStartOfHour(occurred_at) IN (SELECT toDateTime(arrayJoin({hours:Array(UInt32)}), 'UTC'))
    AND log = {log:String} AND src_partition = {partition:Int32}
    AND src_offset >= {first:Int64} AND src_offset < {next:Int64}
GROUP BY src_partition, src_offset, src_index
HAVING times > 1
ORDER BY src_offset, src_index
LIMIT 1000
