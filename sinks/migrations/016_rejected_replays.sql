-- Which refused events were sent again, when, by whom and where to. Written by `streamgauge rejected replay`; an event that
-- is refused again is a new row of usage_rejected at its new position.
CREATE TABLE IF NOT EXISTS rejected_replays
(
    `log`          LowCardinality(String) COMMENT 'Identity of the log that the offset counts in, as in usage_rejected.',
    `topic`        LowCardinality(String) COMMENT 'Topic that the refused message stands on.',
    `partition`    Int32                  COMMENT 'Its partition.',
    `offset`       Int64                  COMMENT 'Its offset.' CODEC(Delta, ZSTD(1)),
    `index`        Int32                  COMMENT 'Place of the refused event in a batch message, from 0.',
    `code`         LowCardinality(String) COMMENT 'Why it had been refused.',
    `replayed_at`  DateTime64(6, 'UTC')   COMMENT 'When it was sent again. The newest row of a position rules.',
    `replayed_by`  LowCardinality(String) COMMENT 'Who gave the command.',
    `to_topic`     LowCardinality(String) COMMENT 'Topic that it was sent to, or usage_events_raw where it was inserted into ClickHouse itself.',
    `to_partition` Int32                  COMMENT 'Partition that it was sent to.',
    `to_offset`    Int64                  COMMENT 'Offset that it has there; a row of usage_rejected with this position was refused again.'
)
ENGINE = ReplacingMergeTree(replayed_at)
ORDER BY (log, topic, partition, offset, index)
COMMENT 'Refused events that were sent again, one row each. Read with FINAL.';
