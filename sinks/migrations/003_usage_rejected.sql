-- Refused events with their raw bytes, which may hold anything: restricted, not for the analyst role.
CREATE TABLE IF NOT EXISTS usage_rejected
(
    `log`           LowCardinality(String) COMMENT 'Identity of the log that the offset counts in.',
    `topic`         LowCardinality(String) COMMENT 'Topic that the refused message stands on.',
    `partition`     Int32                  COMMENT 'Its partition.',
    `offset`        Int64                  COMMENT 'Its offset.' CODEC(Delta, ZSTD(1)),
    `index`         Int32                  COMMENT 'Place of the refused event in a batch message, from 0.',
    `code`          LowCardinality(String) COMMENT 'Why it was refused, as a code.',
    `message`       String                 COMMENT 'Why it was refused, as one sentence with the value.' CODEC(ZSTD(3)),
    `appended_at`   DateTime64(6, 'UTC')   COMMENT 'When the broker appended the refused message. The TTL counts from inserted_at.',
    `source`        Nullable(String)       COMMENT 'Who reported it, where that could be read.',
    `event_id`      Nullable(String)       COMMENT 'Its event id, where that could be read.',
    `raw`           String                 COMMENT 'Base64 of the refused bytes. Restricted.' CODEC(ZSTD(3)),
    `raw_sha256`    String                 COMMENT 'SHA-256 of all refused bytes, hexadecimal.' CODEC(ZSTD(1)),
    `raw_bytes`     Int64                  COMMENT 'How many bytes were refused.',
    `raw_truncated` Bool                   COMMENT 'Whether raw has only the first of them.',
    `inserted_at`   DateTime64(6, 'UTC')   COMMENT 'When the sink inserted it.'
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY (log, topic, partition, offset, index)
COMMENT 'Dead letters: refused usage and outcome events, one row each. Read with FINAL.';
