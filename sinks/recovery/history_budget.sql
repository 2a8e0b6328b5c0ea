-- What accepted events before given source offsets used, of what one budget counts, per quarter of an hour. One row per event
-- (FINAL). An event that was counted twice and taken back by an adjustment of kind resend is counted twice here as well:
-- whoever asks adds all adjustments. Such an adjustment has not all selectors: what it lacks is its event's. No values for a
-- selector: all match.
SELECT
    intDiv(toUnixTimestamp64Micro(at), 900000000) * 15 AS quarter,
    sum(calls) AS calls_sum,
    sum(input_tokens + output_tokens) AS tokens_sum,
    sum(cost) AS cost_sum,
    sum(provisional) AS provisional_sum,
    sum(output_tokens) AS output_sum
FROM
(
    SELECT
        occurred_at AS at,
        toInt64(1) AS calls,
        input_tokens, output_tokens,
        ifNull(cost_nanousd, 0) AS cost,
        provisional_nanousd AS provisional
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
      AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
      AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
      -- include selectors/cell.sql
      -- include selectors/event.sql
    UNION ALL
    SELECT
        booked_at AS at,
        -calls AS calls,
        -input_tokens AS input_tokens, -output_tokens AS output_tokens,
        -cost_nanousd AS cost,
        -provisional_nanousd AS provisional
    FROM usage_adjustments FINAL
    WHERE kind = 'resend' AND log = {log:String}
      AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
      AND booked_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
      -- include selectors/cell.sql
      AND ({by_event:UInt8} = 0 OR (source, event_id) IN
      (
          SELECT source, event_id
          FROM usage_events_raw FINAL
          WHERE (source, event_id) IN (SELECT source, event_id FROM usage_adjustments WHERE kind = 'resend' AND log = {log:String})
            -- include selectors/event.sql
      ))
)
GROUP BY quarter
ORDER BY quarter
