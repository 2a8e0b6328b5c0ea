-- TTLs from settings, applied by `streamgauge migrate` and at the sink's start where they differ from what the tables have.
-- They count from when a row was received, never from event time: replayed history must not vanish on arrival. One
-- statement per table; a retention of 0 days removes the TTL instead.
ALTER TABLE usage_events_raw MODIFY TTL toDateTime(ingested_at) + toIntervalDay({days:UInt16});
ALTER TABLE usage_ledger MODIFY TTL toDateTime(inserted_at) + toIntervalDay({days:UInt16});
ALTER TABLE usage_rejected MODIFY TTL toDateTime(inserted_at) + toIntervalDay({days:UInt16});
ALTER TABLE usage_outcomes MODIFY TTL toDateTime(ingested_at) + toIntervalDay({days:UInt16});
ALTER TABLE governance_alerts MODIFY TTL toDateTime(inserted_at) + toIntervalDay({days:UInt16});
ALTER TABLE governance_status MODIFY TTL toDateTime(inserted_at) + toIntervalDay({days:UInt16});
