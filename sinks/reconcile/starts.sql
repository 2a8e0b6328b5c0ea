-- Where the judged stretch of each partition begins. Without FINAL: a repeated row says the same.
SELECT
    log,
    partition,
    minIf(`first`, {all:UInt8} = 1 OR appended_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')) AS start,
    min(`first`) AS ledger_first,
    countIf({all:UInt8} = 1 OR appended_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')) AS ranges
FROM usage_ledger
GROUP BY log, partition
HAVING ranges > 0
ORDER BY log, partition
