-- What alerts and statuses say of exceptions, policies and the wider scopes of budgets; and what came of each exception.
ALTER TABLE governance_alerts
    ADD COLUMN IF NOT EXISTS `workflow`       LowCardinality(Nullable(String)) COMMENT 'Scope: workflow.' AFTER `source`,
    ADD COLUMN IF NOT EXISTS `role`           LowCardinality(Nullable(String)) COMMENT 'Scope: role of the person.' AFTER `workflow`,
    ADD COLUMN IF NOT EXISTS `criticality`    LowCardinality(Nullable(String)) COMMENT 'Scope: criticality of the use case.' AFTER `role`,
    ADD COLUMN IF NOT EXISTS `data_class`     LowCardinality(Nullable(String)) COMMENT 'Scope: data class.' AFTER `criticality`,
    ADD COLUMN IF NOT EXISTS `one_person`     Bool DEFAULT false               COMMENT 'The budget is about one person, who is not named.' AFTER `data_class`,
    ADD COLUMN IF NOT EXISTS `exception_id`   LowCardinality(Nullable(String)) COMMENT 'Exception, on alerts of kind exception.',
    ADD COLUMN IF NOT EXISTS `step`           LowCardinality(Nullable(String)) COMMENT 'requested, approved, denied, in_force, expired, revoked or refused.',
    ADD COLUMN IF NOT EXISTS `decided_by`     Nullable(String)                 COMMENT 'Who asked or decided: a principal, or rule/ID.',
    ADD COLUMN IF NOT EXISTS `extra`          Nullable(Int64)                  COMMENT 'The amount beyond the limit, in unit.',
    ADD COLUMN IF NOT EXISTS `used_of_extra`  Nullable(Int64)                  COMMENT 'What was used of extra, once it is over, in unit.',
    ADD COLUMN IF NOT EXISTS `policy_rule`    LowCardinality(Nullable(String)) COMMENT 'Rule, on alerts of kind policy.',
    ADD COLUMN IF NOT EXISTS `policy_verdict` LowCardinality(Nullable(String)) COMMENT 'Verdict, on alerts of kind policy.';
ALTER TABLE governance_status
    ADD COLUMN IF NOT EXISTS `workflow`        LowCardinality(Nullable(String)) COMMENT 'Scope: workflow.' AFTER `model_class`,
    ADD COLUMN IF NOT EXISTS `role`            LowCardinality(Nullable(String)) COMMENT 'Scope: role of the person.' AFTER `workflow`,
    ADD COLUMN IF NOT EXISTS `criticality`     LowCardinality(Nullable(String)) COMMENT 'Scope: criticality of the use case.' AFTER `role`,
    ADD COLUMN IF NOT EXISTS `data_class`      LowCardinality(Nullable(String)) COMMENT 'Scope: data class.' AFTER `criticality`,
    ADD COLUMN IF NOT EXISTS `extra`           Int64 DEFAULT 0                  COMMENT 'Part of limit that exceptions in force have added, in unit.' AFTER `limit`,
    ADD COLUMN IF NOT EXISTS `plan`            Nullable(Int64)                  COMMENT 'What was expected to be used, in unit.' AFTER `extra`,
    ADD COLUMN IF NOT EXISTS `acknowledged_by` Nullable(String)                 COMMENT 'Whose word lets the budget go on in this period.' AFTER `would_stop`;
-- What was granted, what was used of it, and what its scope achieved, before and while it held: so that ceilings learn.
-- Before: as long a time right before it. Costs by quarter of an hour of event time, of priced calls; of a department, its
-- own teams without those of departments below. Outcomes are known by team, use case and workflow alone: narrower scopes
-- have all of those. Budgets about one person have neither.
CREATE OR REPLACE VIEW exception_outcomes
(
    `exception_id`                Nullable(String)                 COMMENT 'Exception.',
    `budget_id`                   Nullable(String)                 COMMENT 'Budget whose limit it raised; NULL: a permission.',
    `team_id`                     Nullable(String)                 COMMENT 'Scope: team.',
    `department`                  Nullable(String)                 COMMENT 'Scope: department.',
    `use_case`                    Nullable(String)                 COMMENT 'Scope: use case.',
    `unit`                        String                           COMMENT 'Unit of granted, used_of_extra and limit_at_end: nanousd, tokens, input_tokens, output_tokens or calls.',
    `granted`                     Nullable(Int64)                  COMMENT 'The amount beyond the limit, in unit.',
    `used_of_extra`               Nullable(Int64)                  COMMENT 'What was used of it, in unit; NULL until it is over.',
    `valid_from`                  DateTime64(6, 'UTC')             COMMENT 'Event time: its beginning.',
    `valid_to`                    DateTime64(6, 'UTC')             COMMENT 'Event time: its end.',
    `decided_by`                  Nullable(String)                 COMMENT 'Who decided: a principal, or rule/ID.',
    `last_step`                   Nullable(String)                 COMMENT 'requested, approved, denied, in_force, expired, revoked or refused.',
    `limit_at_end`                Nullable(Int64)                  COMMENT 'The budget''s limit when the last step was told, in unit.',
    `outcomes_before`             UInt64                           COMMENT 'Outcomes reached in as long a time before.',
    `outcomes_during`             UInt64                           COMMENT 'Outcomes reached while it was valid.',
    `cost_before_usd`             Decimal(38, 9)                   COMMENT 'Cost of the scope in as long a time before, US dollars.',
    `cost_during_usd`             Decimal(38, 9)                   COMMENT 'Cost of the scope while it was valid, US dollars.',
    `cost_per_outcome_before_usd` Nullable(Decimal(38, 9))         COMMENT 'cost_before_usd by outcomes_before; NULL without one.',
    `cost_per_outcome_during_usd` Nullable(Decimal(38, 9))         COMMENT 'cost_during_usd by outcomes_during; NULL without one.'
)
AS WITH
    steps AS
    (
        SELECT
            exception_id,
            argMax(tuple(budget_id), revision).1 AS budget_id,
            argMax(tuple(team_id), revision).1 AS team_id,
            argMax(tuple(department), revision).1 AS department,
            argMax(tuple(project_id), revision).1 AS project_id,
            argMax(tuple(use_case), revision).1 AS use_case,
            argMax(tuple(stage), revision).1 AS stage,
            argMax(tuple(model_class), revision).1 AS model_class,
            argMax(tuple(workflow), revision).1 AS workflow,
            argMax(tuple(role), revision).1 AS role,
            argMax(tuple(criticality), revision).1 AS criticality,
            argMax(tuple(data_class), revision).1 AS data_class,
            argMax(one_person, revision) AS one_person,
            argMax(unit, revision) AS unit,
            argMax(tuple(extra), revision).1 AS granted,
            argMax(used_of_extra, revision) AS used_of_extra,
            argMax(window_start, revision) AS valid_from,
            argMax(window_end, revision) AS valid_to,
            argMaxIf(decided_by, revision, step IN ('approved', 'denied', 'revoked')) AS decided_by,
            argMax(step, revision) AS last_step,
            argMax(tuple(limit), revision).1 AS limit_at_end,
            -- Comes before valid_from by as much as valid_to comes after it.
            toDateTime64(valid_from, 6, 'UTC') - toIntervalMicrosecond(dateDiff('microsecond', valid_from, valid_to)) AS before_from
        FROM governance_alerts FINAL
        WHERE kind = 'exception' AND exception_id IS NOT NULL
        GROUP BY exception_id
    ),
    costs AS
    (
        SELECT
            steps.exception_id AS exception_id,
            sumIf(use.cost, use.at < steps.valid_from) AS before,
            sumIf(use.cost, use.at >= steps.valid_from) AS during
        FROM steps
        CROSS JOIN
        (
            SELECT
                toStartOfFifteenMinutes(occurred_at) AS at,
                team_id, department, project_id, use_case, stage, model_class, workflow, role, criticality, data_class,
                sum(ifNull(cost_nanousd, 0)) AS cost
            FROM usage_events
            WHERE occurred_at >= (SELECT min(before_from) FROM steps)
            GROUP BY at, team_id, department, project_id, use_case, stage, model_class, workflow, role, criticality, data_class
        ) AS use
        WHERE use.at >= steps.before_from AND use.at < steps.valid_to AND NOT steps.one_person
            AND (steps.team_id IS NULL OR steps.team_id = use.team_id)
            AND (steps.department IS NULL OR steps.department = use.department)
            AND (steps.project_id IS NULL OR steps.project_id = use.project_id)
            AND (steps.use_case IS NULL OR steps.use_case = use.use_case)
            AND (steps.stage IS NULL OR steps.stage = use.stage)
            AND (steps.model_class IS NULL OR steps.model_class = use.model_class)
            AND (steps.workflow IS NULL OR steps.workflow = use.workflow)
            AND (steps.role IS NULL OR steps.role = use.role)
            AND (steps.criticality IS NULL OR steps.criticality = use.criticality)
            AND (steps.data_class IS NULL OR steps.data_class = use.data_class)
        GROUP BY exception_id
    ),
    reached AS
    (
        SELECT
            steps.exception_id AS exception_id,
            countIf(outcome.occurred_at < steps.valid_from) AS before,
            countIf(outcome.occurred_at >= steps.valid_from) AS during
        FROM steps
        CROSS JOIN
        (
            SELECT done.occurred_at AS occurred_at, done.team_id AS team_id, done.use_case AS use_case, done.workflow AS workflow, belongs.department AS department
            FROM (SELECT occurred_at, team_id, use_case, workflow FROM usage_outcomes FINAL WHERE succeeded AND occurred_at >= (SELECT min(before_from) FROM steps)) AS done
            LEFT JOIN
            (
                SELECT assumeNotNull(team_id) AS team_id, argMax(department, occurred_at) AS department
                FROM usage_events
                WHERE team_id IS NOT NULL AND occurred_at >= (SELECT min(before_from) FROM steps)
                GROUP BY team_id
            ) AS belongs ON belongs.team_id = done.team_id
        ) AS outcome
        WHERE outcome.occurred_at >= steps.before_from AND outcome.occurred_at < steps.valid_to AND NOT steps.one_person
            AND (steps.team_id IS NULL OR steps.team_id = outcome.team_id)
            AND (steps.department IS NULL OR steps.department = outcome.department)
            AND (steps.use_case IS NULL OR steps.use_case = outcome.use_case)
            AND (steps.workflow IS NULL OR steps.workflow = outcome.workflow)
        GROUP BY exception_id
    )
SELECT
    CAST(steps.exception_id, 'Nullable(String)') AS exception_id,
    CAST(steps.budget_id, 'Nullable(String)') AS budget_id,
    CAST(steps.team_id, 'Nullable(String)') AS team_id,
    CAST(steps.department, 'Nullable(String)') AS department,
    CAST(steps.use_case, 'Nullable(String)') AS use_case,
    CAST(steps.unit, 'String') AS unit,
    steps.granted AS granted,
    steps.used_of_extra AS used_of_extra,
    steps.valid_from AS valid_from,
    steps.valid_to AS valid_to,
    steps.decided_by AS decided_by,
    CAST(steps.last_step, 'Nullable(String)') AS last_step,
    steps.limit_at_end AS limit_at_end,
    toUInt64(reached.before) AS outcomes_before,
    toUInt64(reached.during) AS outcomes_during,
    toDecimal128(costs.before, 9) / 1000000000 AS cost_before_usd,
    toDecimal128(costs.during, 9) / 1000000000 AS cost_during_usd,
    toDecimal128(costs.before, 9) / 1000000000 / nullIf(reached.before, 0) AS cost_per_outcome_before_usd,
    toDecimal128(costs.during, 9) / 1000000000 / nullIf(reached.during, 0) AS cost_per_outcome_during_usd
FROM steps
LEFT JOIN costs ON costs.exception_id = steps.exception_id
LEFT JOIN reached ON reached.exception_id = steps.exception_id
COMMENT 'What was granted, used and achieved of each exception, before and while it held.';
