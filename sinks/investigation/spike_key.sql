-- The credential that carries most of a scope's rise: what was spent with it in both spans, and the sources and clients that it was
-- not used from in the span before, with what they spent. What was spent before is taken `scale` times.
SELECT
    sum(now_sum) AS now_all,
    sum(before_sum) AS before_all,
    uniqExactIf(source, source_before = 0) AS new_sources,
    uniqExactIf(client, client_before = 0) AS new_clients,
    sumIf(now_sum, source_before = 0) AS new_cost
FROM
(
    SELECT
        credential, source, client, now_sum, before_sum,
        sum(before_sum) OVER (PARTITION BY credential, source) AS source_before,
        sum(before_sum) OVER (PARTITION BY credential, client) AS client_before
    FROM
    (
        SELECT
            assumeNotNull(credential_id) AS credential,
            toString(source) AS source,
            concat(ifNull(client_name, ''), '/', ifNull(client_version, '')) AS client,
            sumIf(ifNull(cost_nanousd, 0) + provisional_nanousd, is_now) AS now_sum,
            sumIf(ifNull(cost_nanousd, 0) + provisional_nanousd, NOT is_now) AS before_sum
        FROM
        (
            SELECT
                credential_id, source, client_name, client_version, cost_nanousd, provisional_nanousd,
                occurred_at >= fromUnixTimestamp64Micro({now_from:Int64}, 'UTC') AS is_now
            -- include investigation/two_spans.sql
                AND credential_id IS NOT NULL
                -- include selectors/cell.sql
                -- include selectors/event.sql
        )
        GROUP BY credential, source, client
    )
)
GROUP BY credential
ORDER BY now_all - {scale:Float64} * before_all DESC, credential
LIMIT 1
