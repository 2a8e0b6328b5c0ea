-- Workflows whose calls may have become dearer: by the median of hourly cost and tokens per call lately, against the lower
-- quarter of the time before or of its first week, of calls before given source offsets. A sieve, wider than what is told:
-- repeated deliveries are not taken out, since they hardly move a cost per call, and what passes is read again with FINAL.
SELECT
    ifNull(toString(team_key), '') AS team,
    toString(assumeNotNull(workflow_key)) AS workflow
FROM
(
    SELECT
        team_key,
        workflow_key,
        quantileIf(0.5)(cost / calls, hour >= {lately:Int64}) AS cost_day,
        quantileIf(0.5)(tokens / calls, hour >= {lately:Int64}) AS tokens_day,
        -- A step that is younger than a day stands in the last hours alone.
        greatest(cost_day, ifNotFinite(quantileIf(0.5)(cost / calls, hour >= {newest:Int64}), cost_day)) AS cost_now,
        greatest(tokens_day, ifNotFinite(quantileIf(0.5)(tokens / calls, hour >= {newest:Int64}), tokens_day)) AS tokens_now,
        least(ifNotFinite(quantileIf(0.25)(cost / calls, hour < {lately:Int64}), inf),
            ifNotFinite(quantileIf(0.25)(cost / calls, hour < {early:Int64}), inf)) AS cost_was,
        least(ifNotFinite(quantileIf(0.25)(tokens / calls, hour < {lately:Int64}), inf),
            ifNotFinite(quantileIf(0.25)(tokens / calls, hour < {early:Int64}), inf)) AS tokens_was,
        (cost_now - cost_was) * sumIf(calls, hour >= {week:Int64}) * 30. / 7 AS extra
    FROM
    (
        SELECT
            team_id AS team_key,
            usage_events_raw.workflow AS workflow_key,
            intDiv(toUnixTimestamp(toDateTime(occurred_at, 'UTC')), 3600) AS hour,
            count() AS calls,
            sum(ifNull(cost_nanousd, 0) + provisional_nanousd) AS cost,
            sum(input_tokens + output_tokens) AS tokens
        FROM usage_events_raw
        WHERE log = {log:String}
            AND usage_events_raw.workflow != ''
            AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
            AND occurred_at >= toDateTime64({first:Int64} * 3600, 6, 'UTC')
            AND occurred_at < toDateTime64({until:Int64} * 3600, 6, 'UTC')
        GROUP BY team_key, workflow_key, hour
        HAVING calls >= {least_calls:Int64}
    )
    GROUP BY team_key, workflow_key
    HAVING countIf(hour >= {lately:Int64}) > 0
)
WHERE (cost_now >= 0.9 * {ratio:Float64} * cost_was OR tokens_now >= 0.9 * {ratio:Float64} * tokens_was)
    AND extra >= {least_extra:Int64} / 2
ORDER BY extra DESC, team, workflow
LIMIT {most:UInt32}
