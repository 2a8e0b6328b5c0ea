-- Events to price, with what they count for until now: the row as it was written and every earlier new price.
SELECT
    events.log AS log,
    events.src_partition AS src_partition,
    events.src_offset AS src_offset,
    events.src_index AS src_index,
    events.source AS source,
    events.event_id AS event_id,
    events.occurred_at AS occurred_at,
    events.team_id AS team_id,
    events.department AS department,
    events.cost_center AS cost_center,
    events.project_id AS project_id,
    events.use_case AS use_case,
    events.stage AS stage,
    events.workflow AS workflow,
    events.role AS role,
    events.criticality AS criticality,
    events.data_class AS data_class,
    events.model AS model,
    events.model_class AS model_class,
    events.provider AS provider,
    events.response_model AS response_model,
    events.service_tier AS service_tier,
    notEmpty(events.meters) AS has_meters,
    events.gateway_cache_hit AS gateway_cache_hit,
    events.input_tokens AS input_tokens,
    events.cache_read_tokens AS cache_read_tokens,
    events.cache_write_tokens AS cache_write_tokens,
    events.cache_write_1h_tokens AS cache_write_1h_tokens,
    events.output_tokens AS output_tokens,
    events.reasoning_tokens AS reasoning_tokens,
    ifNull(events.cost_nanousd, 0) + earlier.cost AS counted_cost,
    events.provisional_nanousd + earlier.provisional AS counted_provisional,
    toInt64(events.cost_nanousd IS NULL) + earlier.unpriced AS counted_unpriced,
    toInt64(events.cost_nanousd IS NOT NULL OR earlier.times > 0) AS has_price
FROM usage_events AS events
LEFT JOIN
(
    SELECT
        source,
        event_id,
        model,
        toStartOfHour(occurred_at) AS hour,
        count() AS times,
        sum(cost_nanousd) AS cost,
        sum(provisional_nanousd) AS provisional,
        sum(unpriced) AS unpriced
    FROM usage_adjustments FINAL
    WHERE kind = 'reprice'
        AND occurred_at >= toStartOfHour({since:DateTime64(6, 'UTC')})
        AND occurred_at < {until:DateTime64(6, 'UTC')}
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
ORDER BY events.occurred_at, events.source, events.event_id
SETTINGS join_use_nulls = 0;
