-- What the control documents say of an event beside its team: version 3 of usage.enriched. Rows from before have NULL.
ALTER TABLE usage_events_raw
    ADD COLUMN IF NOT EXISTS `role`             LowCardinality(Nullable(String)) COMMENT 'Role of the person in the directory when the event was enriched.',
    ADD COLUMN IF NOT EXISTS `criticality`      LowCardinality(Nullable(String)) COMMENT 'Criticality of the use case when the event was enriched.',
    ADD COLUMN IF NOT EXISTS `claimed_use_case` Nullable(String)                 COMMENT 'Use case that the event named, where the documents have another.' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `claimed_stage`    Nullable(String)                 COMMENT 'Stage that the event named, where the documents have another.' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `policy_verdict`   LowCardinality(Nullable(String)) COMMENT 'The gravest verdict of the policies; NULL where none speaks of the call.',
    ADD COLUMN IF NOT EXISTS `policy_rule`      LowCardinality(Nullable(String)) COMMENT 'Id of the policy or exception that gave the verdict.',
    ADD COLUMN IF NOT EXISTS `retention_class`  LowCardinality(Nullable(String)) COMMENT 'Retention class by policy.';
