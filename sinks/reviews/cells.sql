-- Calls of some workflows by hour, version, prompt template and model, of calls before given source offsets. Of each workflow
-- the 60 pairs of version and template with the most calls are told apart; the others have empty names, and so has a pair with
-- one to four people behind it. A workflow with so few is left out: nobody shall be seen through it.
WITH
    mine AS
    (
        SELECT
            ifNull(toString(team_id), '') AS team,
            toString(assumeNotNull(workflow)) AS workflow_name,
            use_case,
            ifNull(workflow_version, '') AS version,
            ifNull(prompt_template, '') AS template,
            model,
            intDiv(toUnixTimestamp(toDateTime(occurred_at, 'UTC')), 3600) AS hour,
            input_tokens, cache_read_tokens, output_tokens,
            ifNull(cost_nanousd, 0) + provisional_nanousd AS cost,
            ifNull(input_cost_nanousd, 0) + ifNull(cache_write_cost_nanousd, 0) AS input_cost,
            ifNull(cache_read_cost_nanousd, 0) AS cache_cost,
            ifNull(output_cost_nanousd, 0) AS output_cost
        FROM usage_events_raw FINAL
        WHERE log = {log:String}
            AND workflow IN {workflows:Array(String)}
            AND has(arrayZip({teams:Array(String)}, {workflows:Array(String)}), (ifNull(toString(team_id), ''), toString(assumeNotNull(workflow))))
            AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
            AND occurred_at >= toDateTime64({first:Int64} * 3600, 6, 'UTC')
            AND occurred_at < toDateTime64({until:Int64} * 3600, 6, 'UTC')
    ),
    -- Repeated deliveries change neither who is behind a workflow nor, by much, which versions have most of the calls.
    seen AS
    (
        SELECT
            ifNull(toString(team_id), '') AS team,
            toString(assumeNotNull(workflow)) AS workflow_name,
            ifNull(workflow_version, '') AS version,
            ifNull(prompt_template, '') AS template,
            user_hash
        FROM usage_events_raw
        WHERE log = {log:String}
            AND workflow IN {workflows:Array(String)}
            AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
            AND occurred_at >= toDateTime64({first:Int64} * 3600, 6, 'UTC')
            AND occurred_at < toDateTime64({until:Int64} * 3600, 6, 'UTC')
    ),
    shown AS
    (
        SELECT team, workflow_name FROM seen GROUP BY team, workflow_name HAVING uniqExact(user_hash) NOT BETWEEN 1 AND 4
    ),
    named AS
    (
        SELECT team, workflow_name, version, template
        FROM seen
        GROUP BY team, workflow_name, version, template
        HAVING uniqExact(user_hash) NOT BETWEEN 1 AND 4
        ORDER BY count() DESC, version, template
        LIMIT 60 BY team, workflow_name
    )
SELECT
    team,
    workflow_name,
    hour,
    (team, workflow_name, version, template) IN (SELECT team, workflow_name, version, template FROM named) AS is_named,
    if(is_named, version, '') AS named_version,
    if(is_named, template, '') AS named_template,
    toString(model) AS model_name,
    count() AS calls,
    sum(input_tokens),
    sum(cache_read_tokens),
    sum(output_tokens),
    sum(mine.cost),
    sum(mine.input_cost),
    sum(mine.cache_cost),
    sum(mine.output_cost),
    min(ifNull(toString(use_case), '')) AS least_use_case,
    max(ifNull(toString(use_case), '')) AS greatest_use_case
FROM mine
WHERE (team, workflow_name) IN (SELECT team, workflow_name FROM shown)
GROUP BY team, workflow_name, hour, is_named, named_version, named_template, model_name
ORDER BY team, workflow_name, hour, named_version, named_template, model_name, is_named
