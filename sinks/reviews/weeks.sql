-- Cost and outcomes of each use case by week, of calls before given source offsets: joined as in the view cost_per_outcome. The
-- cost of every priced call counts, of failures too. A use case without a single outcome is left out; of a week in which one to
-- four people used it there are only outcomes: nobody shall be judged by it.
SELECT
    use_case_name,
    week,
    sum(part.calls) AS calls,
    sum(part.unpriced) AS unpriced,
    sum(part.cost) AS cost,
    sum(part.succeeded) AS succeeded,
    sum(part.failed) AS failed
FROM
(
    SELECT
        toString(assumeNotNull(use_case)) AS use_case_name,
        intDiv(toUnixTimestamp(toDateTime(occurred_at, 'UTC')) - 345600, 604800) AS week,
        toInt64(count()) AS calls,
        toInt64(countIf(cost_nanousd IS NULL)) AS unpriced,
        ifNull(sum(cost_nanousd), 0) AS cost,
        toInt64(0) AS succeeded,
        toInt64(0) AS failed
    FROM usage_events_raw FINAL
    WHERE log = {log:String}
        AND use_case IN (SELECT use_case FROM usage_outcomes WHERE occurred_at >= toDateTime64({first:Int64} * 3600, 6, 'UTC'))
        AND src_offset < transform(src_partition, {partitions:Array(Int32)}, {firsts:Array(Int64)}, toInt64(0))
        AND occurred_at >= toDateTime64({first:Int64} * 3600, 6, 'UTC')
        AND occurred_at < toDateTime64({until:Int64} * 3600, 6, 'UTC')
    GROUP BY use_case_name, week
    HAVING uniqExact(user_hash) NOT BETWEEN 1 AND 4
    UNION ALL
    SELECT
        toString(use_case) AS use_case_name,
        intDiv(toUnixTimestamp(toDateTime(occurred_at, 'UTC')) - 345600, 604800) AS week,
        toInt64(0),
        toInt64(0),
        toInt64(0),
        toInt64(countIf(succeeded)),
        toInt64(countIf(NOT succeeded))
    FROM usage_outcomes FINAL
    WHERE occurred_at >= toDateTime64({first:Int64} * 3600, 6, 'UTC')
        AND occurred_at < toDateTime64({until:Int64} * 3600, 6, 'UTC')
    GROUP BY use_case_name, week
) AS part
GROUP BY use_case_name, week
ORDER BY use_case_name, week
