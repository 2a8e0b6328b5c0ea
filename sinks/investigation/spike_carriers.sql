-- What a scope spent in two spans of event time, by each value of each dimension; the ten that rose most, when what was spent
-- before is taken `scale` times. A value with one to four people behind it is left out: nobody shall be seen through it.
-- What services use has no people behind it.
SELECT
    pair.1 AS dimension,
    pair.2 AS value,
    sumIf(cost, is_now) AS now_sum,
    sumIf(cost, NOT is_now) AS before_sum
FROM
(
    SELECT
        arrayJoin([
            ('use_case', ifNull(toString(use_case), '')), ('workflow', ifNull(toString(workflow), '')),
            ('workflow_version', if(workflow_version IS NULL, '', concat(ifNull(toString(workflow), ''), '@', assumeNotNull(workflow_version)))),
            ('prompt_template', ifNull(prompt_template, '')), ('application', ifNull(toString(application), '')),
            ('model', toString(model)),
            ('client', if(client_name IS NULL, '', concat(assumeNotNull(client_name), '/', ifNull(client_version, '')))),
            ('credential', ifNull(credential_id, ''))
        ]) AS pair,
        occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC') AS is_now,
        ifNull(cost_nanousd, 0) + provisional_nanousd AS cost,
        user_hash
    -- include investigation/two_spans.sql
        -- include selectors/cell.sql
        -- include selectors/event.sql
)
WHERE value != ''
GROUP BY dimension, value
HAVING uniqExact(user_hash) NOT BETWEEN 1 AND 4
ORDER BY dimension, now_sum - {scale:Float64} * before_sum DESC, value
LIMIT 10 BY dimension
