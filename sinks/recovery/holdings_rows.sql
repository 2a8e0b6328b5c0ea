-- Of one partition: rows delivered from a source offset on, and before it. Without FINAL: a resend that merges have not yet
-- dropped is a row that the ledger counts.
SELECT countIf(src_offset >= {first:Int64}), countIf(src_offset < {first:Int64})
FROM usage_events_raw
WHERE log = {log:String} AND src_partition = {partition:Int32}
