-- All calls of a scope in a span of event time, before given source offsets: numbers, tokens, cost; what was spent in sessions
-- whose input grows with time (five calls or more, the last twice the first), and on exploratory calls.
SELECT
    sum(calls), sum(errors), sum(retries), sum(input), sum(cached), sum(output), sum(cost),
    sumIf(cost, session_of != '' AND calls >= 5 AND growth >= 0.8 AND largest >= 2 * smallest),
    sum(exploratory)
FROM
(
    SELECT
        ifNull(session_id, '') AS session_of,
        count() AS calls,
        countIf(status = 'error') AS errors,
        countIf(attempt > 1 OR retry_of IS NOT NULL) AS retries,
        sum(input_tokens) AS input,
        sum(cache_read_tokens) AS cached,
        sum(output_tokens) AS output,
        sum(ifNull(cost_nanousd, 0) + provisional_nanousd) AS cost,
        sumIf(ifNull(cost_nanousd, 0) + provisional_nanousd, ifNull(stage, '') = 'exploratory') AS exploratory,
        corr(toFloat64(toUnixTimestamp64Micro(occurred_at) - {from:Int64}), toFloat64(input_tokens)) AS growth,
        min(input_tokens) AS smallest,
        max(input_tokens) AS largest
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND occurred_at >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
        AND occurred_at < fromUnixTimestamp64Micro({to:Int64}, 'UTC')
        -- include selectors/cell.sql
        -- include selectors/event.sql
    GROUP BY session_of
)
