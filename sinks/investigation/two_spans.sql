-- Events of a scope in two spans of event time, of calls before given source offsets.
FROM usage_events_raw FINAL
WHERE log = {log:String}
    AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
    AND (occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC')
        AND occurred_at < fromUnixTimestamp64Micro({now_to:Int64}, 'UTC')
        OR occurred_at >= fromUnixTimestamp64Micro({before_from:Int64}, 'UTC')
        AND occurred_at < fromUnixTimestamp64Micro({before_to:Int64}, 'UTC'))
