-- How many events were refused, why and whose, without their bytes: what an analyst may see of usage_rejected.
CREATE OR REPLACE VIEW rejections_daily
(
    `day`      Date                   COMMENT 'Day on which the broker appended the refused message, UTC.',
    `topic`    LowCardinality(String) COMMENT 'Topic that the refused message stands on.',
    `source`   Nullable(String)       COMMENT 'Who reported it, where that could be read.',
    `code`     LowCardinality(String) COMMENT 'Why it was refused.',
    `refused`  UInt64                 COMMENT 'Refused events.'
)
AS SELECT toDate(appended_at) AS day, topic, source, code, count() AS refused
FROM usage_rejected FINAL
GROUP BY day, topic, source, code
COMMENT 'Refused events by day, topic, source and code.';
