SELECT count() FROM usage_events
