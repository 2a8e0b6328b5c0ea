-- Where a range does not begin at the end of those before it. `reached`: greatest end so far; `resume`: offset on
-- usage.enriched behind what reached it. Of the first range of a partition nothing is said.
SELECT partition, reached, `first`, `next`, resume
FROM
(
    SELECT
        partition, `first`, `next`,
        count() OVER earlier AS known,
        max(`next`) OVER earlier AS reached,
        max(enriched_offset) OVER earlier + 1 AS resume
    FROM usage_ledger FINAL
    WHERE log = {log:String}
        AND `first` >= {least:Int64}
        AND partition IN {partitions:Array(Int32)}
        AND `first` >= transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
    WINDOW earlier AS (PARTITION BY partition ORDER BY `first` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE known > 0 AND `first` != reached
ORDER BY partition, `first`
LIMIT 10000
