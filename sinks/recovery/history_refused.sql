-- Accepted events before given source offsets that ClickHouse refused and that stand nowhere in it, and their cost.
SELECT
    toInt64(said.rows - again.rows) AS events,
    toInt64(said.cost - again.cost) AS cost
FROM
(
    SELECT sum(refused) AS rows, sum(refused_cost_nanousd) AS cost
    FROM usage_ledger FINAL
    WHERE log = {log:String}
      AND `first` < transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
) AS said
CROSS JOIN
(
    -- Sent again and taken this time: a row at the old position.
    SELECT toInt64(count()) AS rows, sum(ifNull(cost_nanousd, 0)) AS cost
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
      AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
      AND (src_partition, src_offset, src_index) IN
      (
          SELECT partition, offset, `index`
          FROM rejected_replays FINAL
          WHERE log = {log:String} AND code = 'refused_by_clickhouse' AND to_topic = 'usage_events_raw'
      )
) AS again
