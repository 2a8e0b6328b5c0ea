-- What budgets of one shape (the same selectors) used before given source offsets, by their selectors' values and quarter of an
-- hour: each event once, and every new price of theirs whose adjustment stands below an offset of usage.adjustments. A new
-- price is matched by its event's row, which has all selectors. \0 stands for NULL; selectors that are not asked for are empty.
SELECT
    toInt64(intDiv(toUnixTimestamp64Micro(at), 900000000) * 15) AS minute,
    department_of, team_id_of, project_id_of, use_case_of, workflow_of, user_hash_of, role_of, stage_of,
    model_class_of, criticality_of, data_class_of,
    sum(calls) AS calls_sum,
    sum(tokens) AS tokens_sum,
    sum(cost) AS cost_sum,
    sum(provisional) AS provisional_sum,
    sum(output) AS output_sum
FROM
(
    SELECT
        occurred_at AS at,
        -- include selectors/columns.sql
        toInt64(1) AS calls,
        input_tokens + output_tokens AS tokens,
        ifNull(cost_nanousd, 0) AS cost,
        provisional_nanousd AS provisional,
        output_tokens AS output
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
        -- include selectors/cell.sql
        -- include selectors/event.sql
    UNION ALL
    SELECT at, department_of, team_id_of, project_id_of, use_case_of, workflow_of, user_hash_of, role_of, stage_of, model_class_of, criticality_of, data_class_of, calls, tokens, cost, provisional, output
    FROM
    (
        SELECT
            booked_at AS at, src_partition, src_offset, src_index,
            calls,
            input_tokens + output_tokens AS tokens,
            cost_nanousd AS cost,
            provisional_nanousd AS provisional,
            output_tokens AS output
        FROM usage_adjustments FINAL
        WHERE log = {log:String} AND kind = 'reprice' AND `position` < {adjusted:Int64}
            AND booked_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    ) AS adjusted
    INNER JOIN
    (
        SELECT
            -- include selectors/columns.sql
            src_partition, src_offset, src_index
        FROM usage_events_raw FINAL
        WHERE log = {log:String}
            AND (src_partition, src_offset, src_index) IN
            (
                SELECT src_partition, src_offset, src_index
                FROM usage_adjustments
                WHERE log = {log:String} AND kind = 'reprice' AND `position` < {adjusted:Int64}
                    AND booked_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
            )
            -- include selectors/cell.sql
            -- include selectors/event.sql
    ) AS events USING (src_partition, src_offset, src_index)
)
GROUP BY minute, department_of, team_id_of, project_id_of, use_case_of, workflow_of, user_hash_of, role_of, stage_of, model_class_of, criticality_of, data_class_of
ORDER BY minute
