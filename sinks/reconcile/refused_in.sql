-- Accepted events of a time that ClickHouse refused: budgets count them, rows cannot.
SELECT sum(refused), sum(refused_input_tokens) + sum(refused_output_tokens), sum(refused_cost_nanousd)
FROM usage_ledger FINAL
WHERE log = {log:String} AND refused > 0
    AND max_event_at >= fromUnixTimestamp64Micro({oldest:Int64}, 'UTC')
    AND min_event_at < fromUnixTimestamp64Micro({newest:Int64}, 'UTC')
