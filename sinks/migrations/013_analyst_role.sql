-- server only
-- Who asks questions: everything but the hash of the user and the bytes of refused events. Give it to people with
-- GRANT streamgauge_analyst TO somebody. Views run with the rights of who asks, so the tables below them are granted too.
CREATE ROLE IF NOT EXISTS streamgauge_analyst SETTINGS readonly = 2;
GRANT SELECT ON usage_events_raw TO streamgauge_analyst;
REVOKE SELECT(user_hash) ON usage_events_raw FROM streamgauge_analyst;
GRANT SELECT(log, topic, partition, offset, index, code, appended_at, source, raw_sha256, raw_bytes, inserted_at) ON usage_rejected TO streamgauge_analyst;
GRANT SELECT ON usage_ledger TO streamgauge_analyst;
GRANT SELECT ON usage_outcomes TO streamgauge_analyst;
GRANT SELECT ON governance_alerts TO streamgauge_analyst;
GRANT SELECT ON governance_status TO streamgauge_analyst;
GRANT SELECT ON usage_events TO streamgauge_analyst;
GRANT SELECT ON usage_daily_by_team TO streamgauge_analyst;
GRANT SELECT ON usage_cohorts TO streamgauge_analyst;
GRANT SELECT ON cost_per_outcome TO streamgauge_analyst;
GRANT SELECT ON showback_monthly TO streamgauge_analyst;
GRANT SELECT ON rejections_daily TO streamgauge_analyst;
