-- What ClickHouse refuses leaves the sums too: sum of a range in usage_events_raw = sum in the ledger - refused sum.
ALTER TABLE usage_ledger
    ADD COLUMN IF NOT EXISTS `refused_input_tokens`  Int64 DEFAULT 0 COMMENT 'Part of input_tokens that stands in usage_rejected, not in usage_events_raw.' CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `refused_output_tokens` Int64 DEFAULT 0 COMMENT 'Part of output_tokens that stands in usage_rejected, not in usage_events_raw.' CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `refused_cost_nanousd`  Int64 DEFAULT 0 COMMENT 'Part of cost_nanousd that stands in usage_rejected, not in usage_events_raw.' CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `refused_unpriced`      Int64 DEFAULT 0 COMMENT 'Part of unpriced that stands in usage_rejected, not in usage_events_raw.' CODEC(T64, ZSTD(1));
