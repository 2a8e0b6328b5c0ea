-- Refused events that are known by their records, by partition.
SELECT
    partition,
    countIf(code != 'refused_by_clickhouse'),
    countIf(code = 'refused_by_clickhouse')
FROM usage_rejected FINAL
WHERE log = {log:String}
    AND offset >= transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
    AND offset < transform(partition, {partitions:Array(Int32)}, {nexts:Array(Int64)}, toInt64(0))
GROUP BY partition
