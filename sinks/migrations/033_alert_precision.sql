-- What people made of the alerts that they were told, by week. Words that came after an alert was over are not here:
-- agents tell no more of it then; `streamgauge alerts precision` counts them too, for 90 days back.
CREATE OR REPLACE VIEW alert_precision
(
    `week`         Date             COMMENT 'Monday of the week in which it began, event time, UTC.',
    `kind`         String           COMMENT 'Kind of the alerts.',
    `incident`     Nullable(String) COMMENT 'The usual incident that they looked like; NULL: none was named.',
    `team_id`      Nullable(String) COMMENT 'Team.',
    `told`         UInt64           COMMENT 'Alerts told, each once; those about replayed old time are none.',
    `acknowledged` UInt64           COMMENT 'Of those: somebody was on it.',
    `expected`     UInt64           COMMENT 'Of those: real and known.',
    `noise`        UInt64           COMMENT 'Of those: not worth a page.',
    `unanswered`   UInt64           COMMENT 'Of those: nobody said anything while it was open.'
)
AS SELECT
    week,
    kind,
    incident,
    team_id,
    count() AS told,
    countIf(said = 'acknowledged') AS acknowledged,
    countIf(said = 'expected') AS expected,
    countIf(said = 'noise') AS noise,
    countIf(said IS NULL) AS unanswered
FROM
(
    SELECT
        alert_id,
        toMonday(min(a.occurred_at)) AS week,
        any(a.kind) AS kind,
        argMax(a.incident, a.revision) AS incident,
        argMax(a.team_id, a.revision) AS team_id,
        argMax(a.said, a.revision) AS said
    FROM governance_alerts AS a FINAL
    WHERE NOT a.historical
    GROUP BY alert_id
)
GROUP BY week, kind, incident, team_id
COMMENT 'How many alerts were worth it, by what people said of them.';
