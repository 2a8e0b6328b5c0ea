-- What accepted events before given source offsets used, of what one budget counts, per quarter of an hour. One row per event (FINAL). An event
-- that was counted twice and taken back by an adjustment of kind resend is counted twice here as well: whoever asks adds
-- all adjustments.
SELECT
    intDiv(toUnixTimestamp64Micro(at), 900000000) * 15 AS quarter,
    sum(calls) AS calls_sum,
    sum(input_tokens + output_tokens) AS tokens_sum,
    sum(cost_nanousd) AS cost_sum,
    sum(provisional_nanousd) AS provisional_sum
FROM
(
    SELECT
        occurred_at AS at,
        team_id, department, project_id, use_case, stage, model_class,
        toInt64(1) AS calls,
        toInt64(status = 'error') AS errors,
        input_tokens, cache_read_tokens, output_tokens,
        ifNull(cost_nanousd, 0) AS cost_nanousd,
        provisional_nanousd
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
      AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
      AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    UNION ALL
    SELECT
        booked_at AS at,
        team_id, department, project_id, use_case, stage, model_class,
        -calls AS calls,
        toInt64(0) AS errors,
        -input_tokens AS input_tokens, toInt64(0) AS cache_read_tokens, -output_tokens AS output_tokens,
        -cost_nanousd AS cost_nanousd,
        -provisional_nanousd AS provisional_nanousd
    FROM usage_adjustments FINAL
    WHERE kind = 'resend' AND log = {log:String}
      AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
      AND booked_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
)
WHERE ({team_id:String} = '' OR team_id = {team_id:String})
  AND ({department:String} = '' OR department = {department:String})
  AND ({project_id:String} = '' OR project_id = {project_id:String})
  AND ({use_case:String} = '' OR use_case = {use_case:String})
  AND ({stage:String} = '' OR stage = {stage:String})
  AND ({model_class:String} = '' OR model_class = {model_class:String})
GROUP BY quarter
ORDER BY quarter
