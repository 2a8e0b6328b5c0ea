-- The newest source ranges of one partition. Without FINAL: a repeated row says the same.
SELECT `first`, `next`, `enriched_offset`
FROM usage_ledger
WHERE log = {log:String} AND partition = {partition:Int32}
ORDER BY `first` DESC
LIMIT 10000
