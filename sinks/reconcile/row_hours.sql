-- Which hours hold the rows of the judged stretches, delivery by delivery: the sorting key begins with the hour, so the
-- dearer question with FINAL can then be asked of those hours alone. `judged`: rows within the stretch; `greatest`: the
-- greatest offset met, within the stretch or behind it.
SELECT
    src_partition,
    toUnixTimestamp(toStartOfHour(occurred_at)) AS hour,
    countIf(src_offset < transform(src_partition, {partitions:Array(Int32)}, {nexts:Array(Int64)}, toInt64(0))) AS judged,
    max(src_offset) AS greatest
FROM usage_events_raw
WHERE log = {log:String}
    AND src_offset >= transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
    AND occurred_at >= fromUnixTimestamp64Micro({oldest:Int64}, 'UTC')
    AND occurred_at <= fromUnixTimestamp64Micro({newest:Int64}, 'UTC')
GROUP BY src_partition, hour
ORDER BY src_partition, hour
