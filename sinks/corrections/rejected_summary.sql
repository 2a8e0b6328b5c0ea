-- Refused events by code and source, the most first. Empty texts and a topic of '' mean: any.
SELECT
    refused.code AS code,
    refused.source AS source,
    count() AS events,
    countIf(replays.replayed_at > toDateTime64(0, 6, 'UTC')) AS replayed,
    min(refused.appended_at) AS first_at,
    max(refused.appended_at) AS last_at
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
GROUP BY code, source
ORDER BY events DESC, code, source
SETTINGS join_use_nulls = 0;
