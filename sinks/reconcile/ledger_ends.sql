-- How far the ledger of one log has come. Without FINAL: a repeated row says the same.
SELECT partition, max(`next`)
FROM usage_ledger
WHERE log = {log:String}
GROUP BY partition
