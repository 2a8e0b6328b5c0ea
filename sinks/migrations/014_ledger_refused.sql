-- Rows that ClickHouse itself refuses for their content are set aside one by one; the ledger says how many, so that
-- enriched - refused is what usage_events_raw holds of a range.
ALTER TABLE usage_ledger
    ADD COLUMN IF NOT EXISTS `refused` Int64 DEFAULT 0 COMMENT 'Accepted events that ClickHouse refused: so many records of usage_rejected with code refused_by_clickhouse.' CODEC(T64, ZSTD(1)) AFTER `rejected`;
