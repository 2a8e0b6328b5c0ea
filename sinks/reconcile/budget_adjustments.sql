-- What later prices added to budgets: differences, in the period for which they are booked. As in budget_sums.
SELECT number, sum(calls), sum(input), sum(output), sum(money)
FROM
(
    SELECT
        toUnixTimestamp64Micro(booked_at) AS at,
        calls,
        -- include reconcile/budget_columns.sql
        input_tokens AS input,
        output_tokens AS output,
        cost_nanousd + provisional_nanousd AS money
    FROM usage_adjustments FINAL
    WHERE booked_at >= fromUnixTimestamp64Micro({oldest:Int64}, 'UTC')
        AND booked_at < fromUnixTimestamp64Micro({newest:Int64}, 'UTC')
        AND log = {log:String} AND kind = 'reprice'
) AS adjustments
INNER JOIN
(
    SELECT
        budget.1 AS number, budget.2 AS department_of, budget.3 AS team_of, budget.4 AS project_of, budget.5 AS
        use_case_of, budget.6 AS stage_of, budget.7 AS model_class_of, budget.8 AS workflow_of, budget.9 AS person_of,
        budget.10 AS role_of, budget.11 AS criticality_of, budget.12 AS data_class_of, budget.13 AS period_start,
        budget.14 AS period_end
    FROM
    (
        SELECT
            arrayJoin(arrayZip({numbers:Array(UInt32)},
                {departments:Array(String)}, {teams:Array(String)}, {projects:Array(String)},
                {use_cases:Array(String)}, {stages:Array(String)}, {model_classes:Array(String)},
                {workflows:Array(String)}, {people:Array(String)}, {roles:Array(String)},
                {criticalities:Array(String)}, {data_classes:Array(String)}, {starts:Array(Int64)},
                {ends:Array(Int64)})) AS budget
    )
) AS budgets USING (department_of, team_of, project_of, use_case_of, stage_of, model_class_of, workflow_of, person_of, role_of,
    criticality_of, data_class_of)
WHERE at >= period_start AND at < period_end
GROUP BY number
