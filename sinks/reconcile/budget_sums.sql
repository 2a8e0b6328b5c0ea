-- What budgets have used by ClickHouse's deduplicated rows: of each partition of usage.events up to the offset that the
-- budget's total counts in. A budget of several departments stands once for each of them, under one number. Selectors that no
-- budget of this question uses are empty on both sides; \0 stands for NULL. `person` names the column that tells whose call
-- it was: user_hash, or any other where nobody is asked for, because analysts may not even name that one.
SELECT number, count(), sum(input), sum(output), sum(money)
FROM
(
    SELECT
        toUnixTimestamp64Micro(occurred_at) AS at,
        src_partition,
        src_offset,
        -- include reconcile/budget_columns.sql
        input_tokens AS input,
        output_tokens AS output,
        ifNull(cost_nanousd, 0) + provisional_nanousd AS money
    FROM usage_events_raw FINAL
    WHERE occurred_at >= fromUnixTimestamp64Micro({oldest:Int64}, 'UTC')
        AND occurred_at < fromUnixTimestamp64Micro({newest:Int64}, 'UTC')
        AND log = {log:String}
) AS events
INNER JOIN
(
    SELECT
        budget.1 AS number, budget.2 AS department_of, budget.3 AS team_of, budget.4 AS project_of, budget.5 AS
        use_case_of, budget.6 AS stage_of, budget.7 AS model_class_of, budget.8 AS workflow_of, budget.9 AS person_of,
        budget.10 AS role_of, budget.11 AS criticality_of, budget.12 AS data_class_of, budget.13 AS period_start,
        budget.14 AS period_end, cut.1 AS src_partition, cut.2 AS cut_at
    FROM
    (
        SELECT
            arrayJoin(arrayZip({numbers:Array(UInt32)},
                {departments:Array(String)}, {teams:Array(String)}, {projects:Array(String)},
                {use_cases:Array(String)}, {stages:Array(String)}, {model_classes:Array(String)},
                {workflows:Array(String)}, {people:Array(String)}, {roles:Array(String)},
                {criticalities:Array(String)}, {data_classes:Array(String)}, {starts:Array(Int64)},
                {ends:Array(Int64)})) AS budget,
            arrayJoin(arrayZip({partitions:Array(Int32)},
                arraySlice({cuts:Array(Int64)}, budget.1 * length({partitions:Array(Int32)}) + 1,
                    length({partitions:Array(Int32)})))) AS cut
    )
) AS budgets USING (department_of, team_of, project_of, use_case_of, stage_of, model_class_of, workflow_of, person_of, role_of,
    criticality_of, data_class_of, src_partition)
WHERE at >= period_start AND at < period_end AND src_offset < cut_at
GROUP BY number
