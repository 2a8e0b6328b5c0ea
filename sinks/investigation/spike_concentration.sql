-- How a scope's rise lies on people, sessions and prompts, none of which is named: how many there are now, the share of the rise
-- on the one that carries most, how many carry 60% of it (0: more than 50), and the calls of the one that called most now, in
-- both spans. `rise`: nano-USD above what is usual; what was spent before is taken `scale` times.
SELECT
    kind,
    countIf(calls_now > 0) AS number,
    max(excess) / {rise:Float64} AS first_share,
    arrayFirstIndex(part -> part >= 0.6 * {rise:Float64}, arrayCumSum(arrayMap(part -> -part, groupArraySorted(50)(-excess)))) AS carriers,
    max(calls_now) AS most_calls,
    argMax(calls_before, (calls_now, value)) AS most_calls_before
FROM
(
    SELECT
        pair.1 AS kind,
        pair.2 AS value,
        countIf(is_now) AS calls_now,
        countIf(NOT is_now) AS calls_before,
        sumIf(cost, is_now) - {scale:Float64} * sumIf(cost, NOT is_now) AS excess
    FROM
    (
        SELECT
            arrayJoin([('person', ifNull(user_hash, '')), ('session', ifNull(session_id, '')), ('prompt', ifNull(prompt_hash, ''))]) AS pair,
            occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC') AS is_now,
            ifNull(cost_nanousd, 0) + provisional_nanousd AS cost
        -- include investigation/two_spans.sql
            -- include selectors/cell.sql
            -- include selectors/event.sql
    )
    WHERE value != ''
    GROUP BY kind, value
)
GROUP BY kind
ORDER BY kind
