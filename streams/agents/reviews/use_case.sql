-- What an outcome of one use case costs, by week, for people to paste.
SELECT
    week,
    calls,
    cost_usd,
    outcomes_succeeded,
    outcomes_failed,
    cost_per_outcome_usd,
    calls_per_outcome,
    quality
FROM cost_per_outcome
WHERE use_case = '$use_case'
  AND week >= '$start'
  AND week < '$end'
ORDER BY week
