-- What an outcome costs, by use case and week, and how good it is. The cost of every call counts, of failures too; only
-- outcomes that were reached and held divide it. quality has the mean score of each kind, because scales do not mix.
CREATE OR REPLACE VIEW cost_per_outcome
(
    `week`                 Date                             COMMENT 'Monday of the week of event time, UTC.',
    `use_case`             LowCardinality(Nullable(String)) COMMENT 'Use case; NULL: calls that named none.',
    `calls`                UInt64                           COMMENT 'Calls.',
    `cost_usd`             Decimal(38, 9)                   COMMENT 'Cost of the priced calls, US dollars.',
    `unpriced_calls`       UInt64                           COMMENT 'Calls whose cost is unknown and missing in cost_usd.',
    `outcomes_succeeded`   UInt64                           COMMENT 'Outcomes that were reached and held.',
    `outcomes_failed`      UInt64                           COMMENT 'Outcomes that were not.',
    `cost_per_outcome_usd` Nullable(Decimal(38, 9))         COMMENT 'cost_usd by outcomes_succeeded; NULL without a success.',
    `calls_per_outcome`    Nullable(Float64)                COMMENT 'Calls by outcomes_succeeded; NULL without a success.',
    `success_rate`         Nullable(Float64)                COMMENT 'Succeeded outcomes as a fraction of all; NULL without any.',
    `quality`              Map(String, Float64)             COMMENT 'Mean score of the succeeded and failed outcomes that have one, by quality_kind.',
    `minutes_saved`        Float64                          COMMENT 'Human minutes saved, where measured.',
    `value_usd`            Decimal(38, 9)                   COMMENT 'Business value, where stated, US dollars.',
    `incidents`            UInt64                           COMMENT 'Outcomes that were compliance or safety incidents.'
)
AS SELECT
    week,
    use_case,
    sum(part.calls) AS calls,
    toDecimal128(sum(part.cost), 9) / 1000000000 AS cost_usd,
    sum(part.unpriced) AS unpriced_calls,
    sum(part.succeeded) AS outcomes_succeeded,
    sum(part.failed) AS outcomes_failed,
    toDecimal128(sum(part.cost), 9) / 1000000000 / nullIf(sum(part.succeeded), 0) AS cost_per_outcome_usd,
    sum(part.calls) / nullIf(sum(part.succeeded), 0) AS calls_per_outcome,
    sum(part.succeeded) / nullIf(sum(part.succeeded) + sum(part.failed), 0) AS success_rate,
    CAST((groupArrayIf(quality_kind, scored > 0), groupArrayIf(mean_quality, scored > 0)), 'Map(String, Float64)') AS quality,
    sum(part.minutes) AS minutes_saved,
    toDecimal128(sum(part.value), 9) / 1000000000 AS value_usd,
    sum(part.incidents) AS incidents
FROM
(
    SELECT
        toMonday(toDate(occurred_at)) AS week,
        use_case,
        '' AS quality_kind,
        count() AS calls,
        ifNull(sum(cost_nanousd), 0) AS cost,
        countIf(cost_nanousd IS NULL) AS unpriced,
        0 AS succeeded,
        0 AS failed,
        0 AS scored,
        0. AS mean_quality,
        0. AS minutes,
        0 AS value,
        0 AS incidents
    FROM usage_events
    GROUP BY week, use_case
    UNION ALL
    SELECT
        toMonday(toDate(occurred_at)) AS week,
        use_case,
        ifNull(toString(quality_kind), '') AS quality_kind,
        0,
        0,
        0,
        countIf(succeeded),
        countIf(NOT succeeded),
        count(quality),
        ifNull(avg(quality), 0.),
        ifNull(sum(minutes_saved), 0.),
        ifNull(sum(value_nanousd), 0),
        count(incident)
    FROM usage_outcomes FINAL
    GROUP BY week, use_case, quality_kind
) AS part
GROUP BY week, use_case
COMMENT 'Cost per outcome and quality by use case and week.';
