-- Which migrations this database has. Read by `streamgauge migrate`, written after a migration's last statement.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    `version`    UInt32                COMMENT 'Number in front of the file name.',
    `name`       String                COMMENT 'File name without its number and ending.',
    `sha256`     String                COMMENT 'SHA-256 of the file as it was applied; an edited file is refused.',
    `result`     LowCardinality(String) COMMENT 'applied, or skipped with the reason where this ClickHouse cannot run it.',
    `applied_at` DateTime64(6, 'UTC')  COMMENT 'When it was applied here.'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
COMMENT 'Migrations applied to this database, one row each. Read with FINAL.';
