-- Whose call each event of [since, until) was, where that is known. Needs the right to read hashes of users, which analysts have not.
SELECT DISTINCT log, src_partition, src_offset, src_index, user_hash
FROM usage_events_raw
WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
    AND user_hash IS NOT NULL;
