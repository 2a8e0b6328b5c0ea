-- What a spike looks like, who carries it, what it costs and what people said of it.
ALTER TABLE governance_alerts
    ADD COLUMN IF NOT EXISTS `carried_by`      String COMMENT 'JSON array of causes by dimension: dimension, factor, label, delta, share, before, after.' CODEC(ZSTD(3)) AFTER unexplained_share,
    ADD COLUMN IF NOT EXISTS `uncarried_share` Nullable(Float64) COMMENT 'Part of the change that the named values of the first dimension do not carry.' AFTER carried_by,
    ADD COLUMN IF NOT EXISTS `behind`          Nullable(String) COMMENT 'How many people stand behind it. Never who.' AFTER uncarried_share,
    ADD COLUMN IF NOT EXISTS `incident`        LowCardinality(Nullable(String)) COMMENT 'The usual incident that it looks like.' AFTER behind,
    ADD COLUMN IF NOT EXISTS `confidence`      LowCardinality(Nullable(String)) COMMENT 'low, medium or high: how well the usual is known.' AFTER incident,
    ADD COLUMN IF NOT EXISTS `impact`          Nullable(Int64) COMMENT 'Extra cost so far, nano-USD.' AFTER confidence,
    ADD COLUMN IF NOT EXISTS `impact_per_day`  Nullable(Int64) COMMENT 'Extra cost of a day if it goes on, nano-USD.' AFTER impact,
    ADD COLUMN IF NOT EXISTS `activity`        LowCardinality(Nullable(String)) COMMENT 'The planned activity that covers it.' AFTER impact_per_day,
    ADD COLUMN IF NOT EXISTS `said`            LowCardinality(Nullable(String)) COMMENT 'What people said of it: acknowledged, expected or noise.' AFTER activity;
