-- Rows at offsets that usage.events never reached.
SELECT src_partition, src_offset, src_index
FROM usage_events_raw
WHERE log = {log:String}
    AND src_offset >= transform(src_partition, {partitions:Array(Int32)}, {ends:Array(Int64)}, toInt64(0))
    AND occurred_at >= fromUnixTimestamp64Micro({oldest:Int64}, 'UTC')
    AND occurred_at <= fromUnixTimestamp64Micro({newest:Int64}, 'UTC')
ORDER BY src_partition, src_offset, src_index
LIMIT 1000
