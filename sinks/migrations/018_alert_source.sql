-- Alerts about how a source sends (its events are refused, or it has gone silent) name it.
ALTER TABLE governance_alerts
    ADD COLUMN IF NOT EXISTS `source` LowCardinality(Nullable(String)) COMMENT 'Scope: one source of events; NULL: none.' AFTER `model_class`;
