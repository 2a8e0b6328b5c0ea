-- server only
-- The analysts' part of the tables and views that 024 to 030 added.
GRANT SELECT ON exception_outcomes TO streamgauge_analyst;
GRANT SELECT ON policy_daily TO streamgauge_analyst;
