-- What accepted events before given source offsets used, per team and window of time. One row per event (FINAL). An event
-- that was counted twice and taken back by an adjustment of kind resend is counted twice here as well: whoever asks adds
-- all adjustments.
SELECT
    team_id,
    toInt64(if({resolution:String} = 'month',
        (toYear(at) - 1970) * 12 + toMonth(at) - 1,
        intDiv(toUnixTimestamp64Micro(at), {window_us:Int64}))) AS window_number,
    sum(calls) AS calls_sum,
    sum(errors) AS errors_sum,
    sum(input_tokens) AS input_sum,
    sum(cache_read_tokens) AS cache_read_sum,
    sum(output_tokens) AS output_sum,
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
GROUP BY team_id, window_number
HAVING window_number >= {first_window:Int64}
ORDER BY team_id, window_number
