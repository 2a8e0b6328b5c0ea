-- Ledger rows whose parts do not add up.
SELECT `first`, `next`, read, enriched, duplicates, rejected, enriched_offset
FROM usage_ledger FINAL
WHERE log = {log:String} AND partition = {partition:Int32} AND `first` >= {first:Int64} AND `first` < {next:Int64}
    AND read != enriched + duplicates + rejected
ORDER BY `first`
LIMIT 1000
