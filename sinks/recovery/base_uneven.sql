-- Ranges that were enriched by a control position beyond a given one, before given source offsets, whose rows are not as many
-- as the ledger says, less what was taken back as counted twice by adjustments below an offset of usage.adjustments: above
-- all resends that nobody had corrected there. Partition, first, next, and how many rows stand too much.
WITH ranges AS
(
    SELECT partition, `first`, `next`, enriched - refused AS wanted
    FROM usage_ledger FINAL
    WHERE log = {log:String} AND control > {control:Int64}
        AND `next` <= transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
),
stands AS
(
    SELECT src_partition AS partition, src_offset AS offset, toInt64(1) AS rows
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND src_offset >= transform(src_partition, {partitions:Array(Int32)}, {lowest:Array(Int64)}, toInt64(0))
    UNION ALL
    SELECT src_partition, src_offset, -calls
    FROM usage_adjustments FINAL
    WHERE log = {log:String} AND kind = 'resend' AND `position` < {adjusted:Int64}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND src_offset >= transform(src_partition, {partitions:Array(Int32)}, {lowest:Array(Int64)}, toInt64(0))
)
SELECT partition, `first`, `next`, toInt64(found - wanted) AS difference
FROM
(
    SELECT partition, `first`, any(`next`) AS `next`, any(wanted) AS wanted, sum(rows) AS found
    FROM
    (
        SELECT ranges.partition AS partition, ranges.`first` AS `first`, ranges.`next` AS `next`, ranges.wanted AS wanted, toInt64(0) AS rows
        FROM ranges
        UNION ALL
        SELECT stands.partition, ranges.`first`, ranges.`next`, ranges.wanted, stands.rows
        FROM stands ASOF INNER JOIN ranges ON stands.partition = ranges.partition AND stands.offset >= ranges.`first`
        WHERE stands.offset < ranges.`next`
    )
    GROUP BY partition, `first`
)
WHERE difference != 0
ORDER BY partition, `first`
