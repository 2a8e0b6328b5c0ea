-- The ranges of one partition that have more or fewer records of refused events than the ledger says.
SELECT range_first, range_next, toInt64(wanted), toInt64(found), toInt64(wanted_refused), toInt64(found_refused)
FROM
(
    SELECT `first` AS range_first, `next` AS range_next, rejected AS wanted, refused AS wanted_refused
    FROM usage_ledger FINAL
    WHERE log = {log:String} AND partition = {partition:Int32} AND `first` >= {first:Int64} AND `first` < {next:Int64}
) AS ranges
LEFT JOIN
(
    SELECT
        r.range_start AS range_first,
        countIf(code != 'refused_by_clickhouse') AS found,
        countIf(code = 'refused_by_clickhouse') AS found_refused
    FROM
    (
        SELECT offset, code, 1 AS one
        FROM usage_rejected FINAL
        WHERE log = {log:String} AND partition = {partition:Int32} AND offset >= {first:Int64} AND offset < {next:Int64}
    ) AS records
    ASOF JOIN
    (
        SELECT `first` AS range_start, 1 AS one
        FROM usage_ledger FINAL
        WHERE log = {log:String} AND partition = {partition:Int32} AND `first` >= {first:Int64} AND `first` < {next:Int64}
    ) AS r ON records.one = r.one AND records.offset >= r.range_start
    GROUP BY range_first
) AS standing USING (range_first)
WHERE wanted != found OR wanted_refused != found_refused
ORDER BY range_first
LIMIT 10000
