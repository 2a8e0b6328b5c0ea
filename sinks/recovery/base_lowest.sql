-- Of each partition, the first source offset that was enriched by a control position beyond a given one.
SELECT partition, min(`first`)
FROM usage_ledger FINAL
WHERE log = {log:String} AND control > {control:Int64}
    AND `first` < transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
GROUP BY partition
