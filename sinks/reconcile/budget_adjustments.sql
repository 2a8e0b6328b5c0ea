-- What later prices added to budgets: differences, in the period for which they are booked.
SELECT number, sum(calls), sum(tokens), sum(money)
FROM
(
    SELECT
        toUnixTimestamp64Micro(booked_at) AS at,
        calls,
        if({by_department:UInt8} = 1, ifNull(toString(department), '\0'), '') AS department_of,
        if({by_team:UInt8} = 1, ifNull(toString(team_id), '\0'), '') AS team_of,
        if({by_project:UInt8} = 1, ifNull(toString(project_id), '\0'), '') AS project_of,
        if({by_use_case:UInt8} = 1, ifNull(toString(use_case), '\0'), '') AS use_case_of,
        if({by_stage:UInt8} = 1, ifNull(toString(stage), '\0'), '') AS stage_of,
        if({by_model_class:UInt8} = 1, ifNull(toString(model_class), '\0'), '') AS model_class_of,
        input_tokens + output_tokens AS tokens,
        cost_nanousd + provisional_nanousd AS money
    FROM usage_adjustments FINAL
    WHERE booked_at >= fromUnixTimestamp64Micro({oldest:Int64}, 'UTC')
        AND booked_at < fromUnixTimestamp64Micro({newest:Int64}, 'UTC')
        AND log = {log:String} AND kind = 'reprice'
) AS adjustments
INNER JOIN
(
    SELECT
        budget.1 AS number, budget.2 AS department_of, budget.3 AS team_of, budget.4 AS project_of, budget.5 AS use_case_of,
        budget.6 AS stage_of, budget.7 AS model_class_of, budget.8 AS period_start, budget.9 AS period_end
    FROM
    (
        SELECT arrayJoin(arrayZip({numbers:Array(UInt32)}, {departments:Array(String)}, {teams:Array(String)},
            {projects:Array(String)}, {use_cases:Array(String)}, {stages:Array(String)}, {model_classes:Array(String)},
            {starts:Array(Int64)}, {ends:Array(Int64)})) AS budget
    )
) AS budgets USING (department_of, team_of, project_of, use_case_of, stage_of, model_class_of)
WHERE at >= period_start AND at < period_end
GROUP BY number
