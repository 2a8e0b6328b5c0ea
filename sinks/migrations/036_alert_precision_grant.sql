-- server only
-- The analysts' part of the view that 033 added.
GRANT SELECT ON alert_precision TO streamgauge_analyst;
