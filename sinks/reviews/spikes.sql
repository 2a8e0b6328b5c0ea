-- The newest state of each alert on a spike of some teams that was open at or after a moment.
SELECT
    alert_id,
    argMax(ifNull(toString(team_id), ''), revision) AS team,
    argMax(ifNull(toString(use_case), ''), revision) AS of_use_case,
    toUnixTimestamp64Micro(min(window_start)) AS start_us,
    toUnixTimestamp64Micro(max(window_end)) AS end_us,
    toUInt8(argMax(state, revision) != 'resolved') AS runs
FROM governance_alerts FINAL
WHERE kind = 'spike' AND NOT historical AND ifNull(toString(team_id), '') IN {teams:Array(String)}
    AND window_end >= fromUnixTimestamp64Micro({first_us:Int64}, 'UTC')
    AND window_start < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
GROUP BY alert_id
ORDER BY start_us, alert_id
