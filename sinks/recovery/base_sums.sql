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
        if({by_department:UInt8} = 1, ifNull(toString(department), '\0'), '') AS department_of,
        if({by_team_id:UInt8} = 1, ifNull(toString(team_id), '\0'), '') AS team_id_of,
        if({by_project_id:UInt8} = 1, ifNull(toString(project_id), '\0'), '') AS project_id_of,
        if({by_use_case:UInt8} = 1, ifNull(toString(use_case), '\0'), '') AS use_case_of,
        if({by_workflow:UInt8} = 1, ifNull(toString(workflow), '\0'), '') AS workflow_of,
        if({by_user_hash:UInt8} = 1, ifNull(toString(user_hash), '\0'), '') AS user_hash_of,
        if({by_role:UInt8} = 1, ifNull(toString(role), '\0'), '') AS role_of,
        if({by_stage:UInt8} = 1, ifNull(toString(stage), '\0'), '') AS stage_of,
        if({by_model_class:UInt8} = 1, ifNull(toString(model_class), '\0'), '') AS model_class_of,
        if({by_criticality:UInt8} = 1, ifNull(toString(criticality), '\0'), '') AS criticality_of,
        if({by_data_class:UInt8} = 1, ifNull(toString(data_class), '\0'), '') AS data_class_of,
        toInt64(1) AS calls,
        input_tokens + output_tokens AS tokens,
        ifNull(cost_nanousd, 0) AS cost,
        provisional_nanousd AS provisional,
        output_tokens AS output
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND occurred_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
        AND ({by_department:UInt8} = 0 OR has({departments:Array(String)}, ifNull(toString(department), '\0')))
        AND ({by_team_id:UInt8} = 0 OR has({teams:Array(String)}, ifNull(toString(team_id), '\0')))
        AND ({by_project_id:UInt8} = 0 OR has({projects:Array(String)}, ifNull(toString(project_id), '\0')))
        AND ({by_use_case:UInt8} = 0 OR has({use_cases:Array(String)}, ifNull(toString(use_case), '\0')))
        AND ({by_workflow:UInt8} = 0 OR has({workflows:Array(String)}, ifNull(toString(workflow), '\0')))
        AND ({by_user_hash:UInt8} = 0 OR has({users:Array(String)}, ifNull(toString(user_hash), '\0')))
        AND ({by_role:UInt8} = 0 OR has({roles:Array(String)}, ifNull(toString(role), '\0')))
        AND ({by_stage:UInt8} = 0 OR has({stages:Array(String)}, ifNull(toString(stage), '\0')))
        AND ({by_model_class:UInt8} = 0 OR has({model_classes:Array(String)}, ifNull(toString(model_class), '\0')))
        AND ({by_criticality:UInt8} = 0 OR has({criticalities:Array(String)}, ifNull(toString(criticality), '\0')))
        AND ({by_data_class:UInt8} = 0 OR has({data_classes:Array(String)}, ifNull(toString(data_class), '\0')))
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
            src_partition, src_offset, src_index,
            if({by_department:UInt8} = 1, ifNull(toString(department), '\0'), '') AS department_of,
            if({by_team_id:UInt8} = 1, ifNull(toString(team_id), '\0'), '') AS team_id_of,
            if({by_project_id:UInt8} = 1, ifNull(toString(project_id), '\0'), '') AS project_id_of,
            if({by_use_case:UInt8} = 1, ifNull(toString(use_case), '\0'), '') AS use_case_of,
            if({by_workflow:UInt8} = 1, ifNull(toString(workflow), '\0'), '') AS workflow_of,
            if({by_user_hash:UInt8} = 1, ifNull(toString(user_hash), '\0'), '') AS user_hash_of,
            if({by_role:UInt8} = 1, ifNull(toString(role), '\0'), '') AS role_of,
            if({by_stage:UInt8} = 1, ifNull(toString(stage), '\0'), '') AS stage_of,
            if({by_model_class:UInt8} = 1, ifNull(toString(model_class), '\0'), '') AS model_class_of,
            if({by_criticality:UInt8} = 1, ifNull(toString(criticality), '\0'), '') AS criticality_of,
            if({by_data_class:UInt8} = 1, ifNull(toString(data_class), '\0'), '') AS data_class_of
        FROM usage_events_raw FINAL
        WHERE log = {log:String}
            AND (src_partition, src_offset, src_index) IN
            (
                SELECT src_partition, src_offset, src_index
                FROM usage_adjustments
                WHERE log = {log:String} AND kind = 'reprice' AND `position` < {adjusted:Int64}
                    AND booked_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
            )
            AND ({by_department:UInt8} = 0 OR has({departments:Array(String)}, ifNull(toString(department), '\0')))
            AND ({by_team_id:UInt8} = 0 OR has({teams:Array(String)}, ifNull(toString(team_id), '\0')))
            AND ({by_project_id:UInt8} = 0 OR has({projects:Array(String)}, ifNull(toString(project_id), '\0')))
            AND ({by_use_case:UInt8} = 0 OR has({use_cases:Array(String)}, ifNull(toString(use_case), '\0')))
            AND ({by_workflow:UInt8} = 0 OR has({workflows:Array(String)}, ifNull(toString(workflow), '\0')))
            AND ({by_user_hash:UInt8} = 0 OR has({users:Array(String)}, ifNull(toString(user_hash), '\0')))
            AND ({by_role:UInt8} = 0 OR has({roles:Array(String)}, ifNull(toString(role), '\0')))
            AND ({by_stage:UInt8} = 0 OR has({stages:Array(String)}, ifNull(toString(stage), '\0')))
            AND ({by_model_class:UInt8} = 0 OR has({model_classes:Array(String)}, ifNull(toString(model_class), '\0')))
            AND ({by_criticality:UInt8} = 0 OR has({criticalities:Array(String)}, ifNull(toString(criticality), '\0')))
            AND ({by_data_class:UInt8} = 0 OR has({data_classes:Array(String)}, ifNull(toString(data_class), '\0')))
    ) AS events USING (src_partition, src_offset, src_index)
)
GROUP BY minute, department_of, team_id_of, project_id_of, use_case_of, workflow_of, user_hash_of, role_of, stage_of, model_class_of, criticality_of, data_class_of
ORDER BY minute
