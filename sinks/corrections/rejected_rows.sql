-- Refused events, the newest first, each with what became of it. `exact`: the positions of `topic`, `partition`, `offset`
-- and, unless negative, `index`; of a topic that was made again, the newest life. `raw`: with the refused bytes.
SELECT
    refused.log AS log,
    refused.topic AS topic,
    refused.`partition` AS `partition`,
    refused.`offset` AS `offset`,
    refused.`index` AS `index`,
    refused.code AS code,
    refused.message AS message,
    refused.appended_at AS appended_at,
    refused.source AS source,
    refused.event_id AS event_id,
    if({raw:Bool}, refused.raw, '') AS raw,
    refused.raw_bytes AS raw_bytes,
    refused.raw_truncated AS raw_truncated,
    replays.replayed_at AS replayed_at,
    replays.replayed_by AS replayed_by,
    replays.to_topic AS to_topic,
    replays.to_partition AS to_partition,
    replays.to_offset AS to_offset
FROM usage_rejected AS refused FINAL
LEFT JOIN rejected_replays AS replays FINAL
    ON replays.log = refused.log
    AND replays.topic = refused.topic
    AND replays.`partition` = refused.`partition`
    AND replays.`offset` = refused.`offset`
    AND replays.`index` = refused.`index`
WHERE refused.appended_at >= {since:DateTime64(6, 'UTC')}
    AND ({code:String} = '' OR refused.code = {code:String})
    AND ({source:String} = '' OR refused.source = {source:String})
    AND ({topic:String} = '' OR refused.topic = {topic:String})
    AND ({all:Bool} OR replays.replayed_at = toDateTime64(0, 6, 'UTC'))
    AND
    (
        NOT {exact:Bool}
        OR (refused.`partition` = {partition:Int32} AND refused.`offset` = {offset:Int64} AND ({index:Int32} < 0 OR refused.`index` = {index:Int32}))
    )
ORDER BY refused.appended_at DESC, refused.inserted_at DESC, topic, `partition`, `offset`, `index`
LIMIT 1 BY topic, `partition`, `offset`, `index`
LIMIT {limit:UInt64}
SETTINGS join_use_nulls = 0;
