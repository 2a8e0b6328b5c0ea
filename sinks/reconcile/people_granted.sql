-- Whether who asks may read whose call an event was.
CHECK GRANT SELECT(user_hash) ON usage_events_raw
