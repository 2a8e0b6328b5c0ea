-- The ranges that do not add up: what the ledger says beside the deduplicated rows at its positions. FINAL takes the first
-- delivery of each event before positions are looked at, so a row whose event stands at another position is not there.
-- `resume_at`: offset on usage.enriched behind the ranges before, -1 for the first. Rows in no range are not counted: they
-- lie in a hole, which the chain names.
WITH ranges AS
(
    SELECT
        partition, `first`, `next`, enriched_offset, control, refused,
        toInt64(enriched - refused) AS rows,
        input_tokens - refused_input_tokens AS input,
        output_tokens - refused_output_tokens AS output,
        cost_nanousd - refused_cost_nanousd AS cost,
        unpriced - refused_unpriced AS no_price
    FROM usage_ledger FINAL
    WHERE log = {log:String}
        AND `first` >= {least:Int64}
        AND partition IN {partitions:Array(Int32)}
        AND `first` >= transform(partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND `first` < transform(partition, {partitions:Array(Int32)}, {nexts:Array(Int64)}, toInt64(0))
)
SELECT
    said.partition, said.first, said.next, said.enriched_offset, said.resume_at, said.control, said.refused,
    (said.rows, said.input, said.output, said.cost, said.no_price) AS ledger,
    -- A refused row that was sent again counts as what stands of it.
    if(sent_again > 0,
        (said.rows + taken.rows + sent_again, got.input, got.output, got.cost, got.no_price),
        (said.rows + taken.rows, said.input + taken.input, said.output + taken.output, said.cost + taken.cost,
            said.no_price + taken.no_price)) AS wanted,
    (got.rows, got.input, got.output, got.cost, got.no_price) AS found
FROM
(
    SELECT
        *,
        if(count() OVER earlier = 0, -1, max(enriched_offset) OVER earlier + 1) AS resume_at
    FROM ranges
    WINDOW earlier AS (PARTITION BY partition ORDER BY `first` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS said
LEFT JOIN
(
    SELECT
        r.partition AS partition, r.first AS `first`, toInt64(count()) AS rows, sum(e.input_tokens) AS input,
        sum(e.output_tokens) AS output, sum(e.cost) AS cost, toInt64(sum(e.no_price)) AS no_price
    FROM
    (
        SELECT
            src_partition AS partition, src_offset, input_tokens, output_tokens, ifNull(cost_nanousd, 0) AS cost,
            cost_nanousd IS NULL AS no_price
        FROM usage_events_raw FINAL
        WHERE toStartOfHour(occurred_at) IN (SELECT toDateTime(arrayJoin({hours:Array(UInt32)}), 'UTC'))
            AND log = {log:String}
            AND src_offset >= transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
            AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {nexts:Array(Int64)}, toInt64(0))
    ) AS e
    ASOF JOIN ranges AS r ON e.partition = r.partition AND e.src_offset >= r.first
    WHERE e.src_offset < r.next
    GROUP BY r.partition, r.first
) AS got ON said.partition = got.partition AND said.first = got.first
LEFT JOIN
(
    SELECT
        r.partition AS partition, r.first AS `first`, sum(a.calls) AS rows, sum(a.input_tokens) AS input,
        sum(a.output_tokens) AS output, sum(a.cost_nanousd) AS cost, sum(a.unpriced) AS no_price
    FROM
    (
        SELECT src_partition AS partition, src_offset, calls, input_tokens, output_tokens, cost_nanousd, unpriced
        FROM usage_adjustments FINAL
        WHERE log = {log:String} AND kind = 'resend'
    ) AS a
    ASOF JOIN ranges AS r ON a.partition = r.partition AND a.src_offset >= r.first
    WHERE a.src_offset < r.next
    GROUP BY r.partition, r.first
) AS taken ON said.partition = taken.partition AND said.first = taken.first
LEFT JOIN
(
    SELECT r.partition AS partition, r.first AS `first`, toInt64(count()) AS sent_again
    FROM
    (
        SELECT partition, offset
        FROM rejected_replays FINAL
        WHERE log = {log:String} AND code = 'refused_by_clickhouse' AND to_topic = 'usage_events_raw'
    ) AS a
    ASOF JOIN ranges AS r ON a.partition = r.partition AND a.offset >= r.first
    WHERE a.offset < r.next
    GROUP BY r.partition, r.first
) AS again ON said.partition = again.partition AND said.first = again.first
WHERE wanted != found
ORDER BY said.partition, said.first
