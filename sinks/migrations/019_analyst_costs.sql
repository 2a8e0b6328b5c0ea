-- server only
-- The analysts' part of what 015 to 017 added. Bytes of refused events stay out of reach.
GRANT SELECT ON usage_adjustments TO streamgauge_analyst;
GRANT SELECT ON usage_costs TO streamgauge_analyst;
GRANT SELECT ON rejected_replays TO streamgauge_analyst;
