-- What the ledger says of the judged stretch of each partition of one log.
SELECT
    partition,
    min(`first`),
    max(`next`),
    count(),
    sum(read),
    countIf(read != enriched + duplicates + rejected),
    sum(rejected),
    sum(refused),
    sum(enriched) - sum(refused),
    sum(input_tokens) - sum(refused_input_tokens),
    sum(output_tokens) - sum(refused_output_tokens),
    sum(cost_nanousd) - sum(refused_cost_nanousd),
    sum(unpriced) - sum(refused_unpriced),
    toUnixTimestamp64Micro(min(min_event_at)),
    toUnixTimestamp64Micro(max(max_event_at)),
    max(enriched_offset) + 1
FROM usage_ledger FINAL
WHERE log = {log:String}
    AND `first` >= {least:Int64}
    AND partition IN {partitions:Array(Int32)}
    AND `first` >= transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
GROUP BY partition
ORDER BY partition
