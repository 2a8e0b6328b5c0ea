-- What a scope used in two spans of event time, of calls before given source offsets: as a whole (dimension all), and by team,
-- use case, workflow and model. Input tokens and those read from cache stand beside it. A value with one to four people
-- behind it in these spans is left out: nobody shall be seen through it.
SELECT
    pair.1 AS dimension,
    pair.2 AS value,
    sumIf(amount, is_now) AS now_sum,
    sumIf(amount, NOT is_now) AS before_sum,
    sumIf(input_tokens, is_now) AS input_now,
    sumIf(input_tokens, NOT is_now) AS input_before,
    sumIf(cache_read_tokens, is_now) AS cache_now,
    sumIf(cache_read_tokens, NOT is_now) AS cache_before
FROM
(
    SELECT
        arrayJoin([
            ('all', ''), ('team', ifNull(toString(team_id), '')), ('use_case', ifNull(toString(use_case), '')),
            ('workflow', ifNull(toString(workflow), '')), ('model', toString(model))
        ]) AS pair,
        occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC')
            AND occurred_at < fromUnixTimestamp64Micro({now_to:Int64}, 'UTC') AS is_now,
        multiIf({unit:String} = 'usd', ifNull(cost_nanousd, 0) + provisional_nanousd,
            {unit:String} = 'tokens', input_tokens + output_tokens,
            {unit:String} = 'input_tokens', input_tokens,
            {unit:String} = 'output_tokens', output_tokens, toInt64(1)) AS amount,
        input_tokens, cache_read_tokens, user_hash
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND (occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC')
            AND occurred_at < fromUnixTimestamp64Micro({now_to:Int64}, 'UTC')
            OR occurred_at >= fromUnixTimestamp64Micro({before_from:Int64}, 'UTC')
            AND occurred_at < fromUnixTimestamp64Micro({before_to:Int64}, 'UTC'))
        -- include selectors/cell.sql
        -- include selectors/event.sql
)
GROUP BY dimension, value
HAVING dimension = 'all' OR (value != '' AND uniqExact(user_hash) NOT BETWEEN 1 AND 4)
ORDER BY dimension, now_sum - before_sum DESC, value
LIMIT 50 BY dimension
