-- What each scope used in two spans of event time that differs from a given one in one selector, the column `vary`, of calls
-- before given source offsets: by that column's value (of which none are given to match). The people column is none of them;
-- a value with one to four people behind it is left out, but for the scope's own.
SELECT
    value,
    sumIf(amount, is_after) AS after_sum,
    sumIf(amount, NOT is_after) AS before_sum
FROM
(
    SELECT
        multiIf({vary:String} = 'department', ifNull(toString(department), ''),
            {vary:String} = 'team_id', ifNull(toString(team_id), ''),
            {vary:String} = 'project_id', ifNull(toString(project_id), ''),
            {vary:String} = 'use_case', ifNull(toString(use_case), ''),
            {vary:String} = 'workflow', ifNull(toString(workflow), ''),
            {vary:String} = 'role', ifNull(toString(role), ''),
            {vary:String} = 'stage', ifNull(toString(stage), ''),
            {vary:String} = 'model_class', ifNull(toString(model_class), ''),
            {vary:String} = 'criticality', ifNull(toString(criticality), ''),
            {vary:String} = 'data_class', ifNull(toString(data_class), ''), '') AS value,
        occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC') AS is_after,
        multiIf({unit:String} = 'usd', ifNull(cost_nanousd, 0) + provisional_nanousd,
            {unit:String} = 'tokens', input_tokens + output_tokens,
            {unit:String} = 'input_tokens', input_tokens,
            {unit:String} = 'output_tokens', output_tokens, toInt64(1)) AS amount,
        user_hash
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND occurred_at >= fromUnixTimestamp64Micro({before_from:Int64}, 'UTC')
        AND occurred_at < fromUnixTimestamp64Micro({now_to:Int64}, 'UTC')
        -- include selectors/cell.sql
        -- include selectors/event.sql
)
GROUP BY value
HAVING value != '' AND (has({own:Array(String)}, value) OR uniqExact(user_hash) NOT BETWEEN 1 AND 4)
ORDER BY has({own:Array(String)}, value) DESC, after_sum - before_sum DESC, value
LIMIT 50
