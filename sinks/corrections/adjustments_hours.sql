-- Hours of event time that have events to price, and how many. `again`: also those that have a price already.
SELECT toStartOfHour(events.occurred_at) AS hour, count() AS found
FROM usage_events AS events
LEFT JOIN
(
    SELECT source, event_id, model, toStartOfHour(occurred_at) AS hour, count() AS times
    FROM usage_adjustments FINAL
    WHERE kind = 'reprice'
    GROUP BY source, event_id, model, hour
) AS earlier
    ON earlier.source = events.source
    AND earlier.event_id = events.event_id
    AND earlier.model = events.model
    AND earlier.hour = toStartOfHour(events.occurred_at)
WHERE events.occurred_at >= {since:DateTime64(6, 'UTC')}
    AND events.occurred_at < {until:DateTime64(6, 'UTC')}
    AND ({again:Bool} OR (events.price_status = 'unpriced' AND earlier.times = 0))
    AND
    (
        {model:String} = ''
        OR if({prefix:Bool}, startsWith(lower(events.model), {model:String}), lower(events.model) = {model:String})
        OR if({prefix:Bool}, startsWith(lower(ifNull(events.response_model, '')), {model:String}), lower(ifNull(events.response_model, '')) = {model:String})
    )
GROUP BY hour
ORDER BY hour;
