-- The range that begins at or before an offset, and the one before it.
SELECT `first`, `next`, enriched_offset
FROM usage_ledger FINAL
WHERE log = {log:String} AND partition = {partition:Int32} AND `first` <= {offset:Int64}
ORDER BY `first` DESC
LIMIT 2
