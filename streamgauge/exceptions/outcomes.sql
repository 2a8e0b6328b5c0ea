-- What was granted, what was used of it, and what the budget's scope achieved meanwhile; newest end first.
SELECT
    exception_id,
    budget_id,
    team_id,
    unit,
    granted,
    used_of_extra,
    valid_from,
    valid_to,
    decided_by,
    last_step,
    outcomes_during,
    cost_per_outcome_before_usd,
    cost_per_outcome_during_usd
FROM exception_outcomes
WHERE valid_to >= {since:DateTime64(6, 'UTC')} AND last_step NOT IN ('requested', 'denied', 'refused')
ORDER BY valid_to DESC, exception_id
