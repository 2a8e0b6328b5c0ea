-- Accepted events that ClickHouse refused and that were not sent again: they have no row.
SELECT offset, index
FROM usage_rejected FINAL
WHERE log = {log:String} AND partition = {partition:Int32} AND offset >= {first:Int64} AND offset < {next:Int64}
    AND code = 'refused_by_clickhouse'
    AND (offset, index) NOT IN
    (
        SELECT offset, index
        FROM rejected_replays
        WHERE log = {log:String} AND partition = {partition:Int32} AND offset >= {first:Int64} AND offset < {next:Int64}
            AND code = 'refused_by_clickhouse' AND to_topic = 'usage_events_raw'
    )
