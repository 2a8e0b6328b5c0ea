-- Days that each table keeps its rows; 0: for ever.
SELECT name, toUInt32OrZero(extract(engine_full, 'toIntervalDay\\((?:_CAST\\()?([0-9]+)'))
FROM system.tables
WHERE database = currentDatabase() AND name IN ('usage_events_raw', 'usage_ledger', 'usage_rejected')
