-- One row per source range of usage.events that reached ClickHouse: what became of its messages. The ranges of a partition
-- form a chain (next of one is first of the following); `streamgauge reconcile` proves that it has no hole.
CREATE TABLE IF NOT EXISTS usage_ledger
(
    `log`             LowCardinality(String)        COMMENT 'Identity of the log that the offsets count in: cluster and topic id.',
    `partition`       Int32                         COMMENT 'Partition of usage.events.',
    `first`           Int64                         COMMENT 'First offset of the range.' CODEC(Delta, ZSTD(1)),
    `next`            Int64                         COMMENT 'First offset after the range.' CODEC(Delta, ZSTD(1)),
    `read`            Int64                         COMMENT 'Events read: enriched + duplicates + rejected.' CODEC(T64, ZSTD(1)),
    `enriched`        Int64                         COMMENT 'Events accepted: so many rows of usage_events_raw.' CODEC(T64, ZSTD(1)),
    `duplicates`      Int64                         COMMENT 'Resends recognised within the dedupe horizon.' CODEC(T64, ZSTD(1)),
    `rejected`        Int64                         COMMENT 'Events refused: so many records of usage_rejected.' CODEC(T64, ZSTD(1)),
    `late`            Int64                         COMMENT 'Accepted events behind the watermark.' CODEC(T64, ZSTD(1)),
    `input_tokens`    Int64                         COMMENT 'Sum over the accepted events.' CODEC(T64, ZSTD(1)),
    `output_tokens`   Int64                         COMMENT 'Sum over the accepted events.' CODEC(T64, ZSTD(1)),
    `cost_nanousd`    Int64                         COMMENT 'Sum over the priced events, nano-USD.' CODEC(T64, ZSTD(1)),
    `unpriced`        Int64                         COMMENT 'Accepted events without a price.' CODEC(T64, ZSTD(1)),
    `unattributed`    Int64                         COMMENT 'Accepted events whose team nobody knows.' CODEC(T64, ZSTD(1)),
    `min_event_at`    Nullable(DateTime64(6, 'UTC')) COMMENT 'Least event time of the accepted events.',
    `max_event_at`    Nullable(DateTime64(6, 'UTC')) COMMENT 'Greatest event time of the accepted events.',
    `appended_at`     DateTime64(6, 'UTC')          COMMENT 'Broker time of the newest message of the range.' CODEC(Delta, ZSTD(1)),
    `rate_card`       LowCardinality(String)        COMMENT 'Version of the rate card that priced the range.',
    `control`         Int64                         COMMENT 'Position of the control log by which the range was enriched.' CODEC(T64, ZSTD(1)),
    `enriched_offset` Int64                         COMMENT 'Offset of the range''s last message on usage.enriched; the sink goes on after it.' CODEC(Delta, ZSTD(1)),
    `inserted_at`     DateTime64(6, 'UTC')          COMMENT 'When the sink inserted it. The TTL counts from here.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY (log, partition, first)
-- As in usage_events_raw, without months: 12 input partitions x 1 insert a second x 10 minutes of pause, rounded up.
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Source ranges of usage.events and what became of them: the proof that nothing vanished. Read with FINAL.';
