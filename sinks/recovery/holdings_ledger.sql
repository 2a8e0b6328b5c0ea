-- Of one partition: rows that the ledger counts from a source offset on, rows before it, and up to where its ranges before
-- it reach. Holes between those are for `streamgauge reconcile`.
SELECT
    sumIf(enriched - refused, `first` >= {first:Int64}),
    sumIf(enriched - refused, `first` < {first:Int64}),
    maxIf(`next`, `first` < {first:Int64})
FROM usage_ledger FINAL
WHERE log = {log:String} AND partition = {partition:Int32}
