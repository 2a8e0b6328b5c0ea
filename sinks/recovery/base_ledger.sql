-- Of each partition, of its ranges before a given source offset: where its ledger begins; of the ranges with events at or
-- after a moment: first and last offset, and how many offsets they cover, which tells whether one is missing; and how many
-- of their events ClickHouse refused.
SELECT
    partition,
    min(`first`) AS ledger_first,
    toInt64(countIf(recent)) AS ranges,
    minIf(`first`, recent) AS recent_first,
    maxIf(`next`, recent) AS recent_next,
    sumIf(`next` - `first`, recent) AS covered,
    sumIf(refused, recent) AS refused_events
FROM
(
    SELECT
        partition, `first`, `next`, refused,
        appended_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC') AS recent
    FROM usage_ledger FINAL
    WHERE log = {log:String}
        AND `first` < transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
)
GROUP BY partition
ORDER BY partition
