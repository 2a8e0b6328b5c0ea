-- An hour of a small company, until Monday 2026-01-12, 12:00 UTC. What panels and examples answer is computed from this.

-- 60 calls of search, one a minute, 2 cents each; 20 of payments without a price; 5 from nobody known.
INSERT INTO usage_events_raw (log, src_partition, src_offset, src_index, ingested_at, event_id, source, occurred_at,
    team_id, department, cost_center, use_case, stage, model, model_class, status, attempt, attribution, input_tokens,
    cache_read_tokens, output_tokens, cost_nanousd, provisional_nanousd, price_status, rate_card, user_hash)
SELECT 'log', number % 2, number, 0, occurred_at + 2, concat('e', toString(number)), 'gateway',
    toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 60 * (number % 60) - 30 AS occurred_at,
    multiIf(number < 60, 'search', number < 80, 'payments', NULL), multiIf(number < 80, 'product', NULL),
    multiIf(number < 80, 'CC-1', NULL), multiIf(number < 60, 'triage', number < 80, 'review', NULL), 'production',
    'model-a', 'standard', 'ok', 1, if(number < 80, 'source', 'unattributed'), 1000, 400, 100,
    if(number >= 60 AND number < 80, NULL, 20000000), if(number >= 60 AND number < 80, 30000000, 0),
    if(number >= 60 AND number < 80, 'unpriced', 'priced'), 'card', 'hash'
FROM numbers(85);

-- Ten stretches of ten events: 8 kept, 1 resend, 1 refused; in ClickHouse one second after the broker had them.
INSERT INTO usage_ledger (log, partition, first, next, read, enriched, duplicates, rejected, late, input_tokens,
    output_tokens, cost_nanousd, unpriced, unattributed, appended_at, rate_card, control, enriched_offset, inserted_at)
SELECT 'log', number % 2, number * 10, number * 10 + 10, 10, 8, 1, 1, 0, 8000, 800, 160000000, 0, 0,
    toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 60 * number - 30 AS appended_at, 'card', 1, number, appended_at + 1
FROM numbers(10);

-- Ten refused events.
INSERT INTO usage_rejected (log, topic, partition, offset, index, code, message, appended_at, source, raw, raw_sha256,
    raw_bytes, raw_truncated, inserted_at)
SELECT 'log', 'usage.events', 0, number, 0, 'missing_field', 'event_id is missing',
    toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 60, 'gateway', 'e30=', 'ab', 2, false, toDateTime64('2026-01-12 12:00:00', 6, 'UTC')
FROM numbers(10);

-- Five outcomes of triage, four of them reached.
INSERT INTO usage_outcomes (outcome_id, source, occurred_at, team_id, use_case, kind, succeeded, minutes_saved, value_nanousd,
    ingested_at)
SELECT toString(number), 'helpdesk', toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 600, 'search', 'triage', 'ticket_resolved',
    number < 4, 30, 12500000000, toDateTime64('2026-01-12 12:00:00', 6, 'UTC')
FROM numbers(5);

-- One spike: it fired, then it was over.
INSERT INTO governance_alerts (alert_id, revision, kind, state, severity, historical, team_id, window_start, window_end,
    unit, observed, summary, explanation, suggested_action, links, occurred_at, evaluated_at, inserted_at)
SELECT 'spike-1', number, 'spike', ['firing', 'resolved'][number + 1], 'warning', false, 'search',
    toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 900, toDateTime64('2026-01-12 12:00:00', 6, 'UTC'), 'nanousd', 5,
    ['Team search rose.', 'Team search is back.'][number + 1],
    '[{"factor": "calls", "label": "calls doubled", "delta": 1, "share": 1.0}]', 'Look.', '[]',
    toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 900, toDateTime64('2026-01-12 12:00:00', 6, 'UTC') - 800 + number,
    toDateTime64('2026-01-12 12:00:00', 6, 'UTC')
FROM numbers(2);

-- An exception in force for that team's budget.
INSERT INTO governance_alerts (alert_id, revision, kind, state, severity, historical, team_id, window_start, window_end,
    unit, observed, budget_id, exception_id, step, decided_by, extra, summary, explanation, suggested_action, links,
    occurred_at, evaluated_at, inserted_at)
SELECT 'exception-1', number, 'exception', ['firing', 'updated'][number + 1], 'info', false, 'search',
    '2026-01-12 00:00:00', '2026-01-13 00:00:00', 'nanousd', 0, 'search-month', 'launch',
    ['approved', 'in_force'][number + 1], 'grace', 500000000, 'Launch week.', '[]', 'None.', '[]',
    '2026-01-12 00:00:00', '2026-01-12 11:30:00', '2026-01-12 11:30:00'
FROM numbers(2);

-- One budget, beyond its hard level.
INSERT INTO governance_status (budget_id, period_start, period_end, period_kind, time_zone, rule, team_id, unit, used,
    provisional, limit, used_share, calls, state, mode, would_stop, evaluated_at, inserted_at)
VALUES ('search-month', '2026-01-01 00:00:00', '2026-02-01 00:00:00', 'month', 'UTC', 'r', 'search', 'nanousd', 1200000000,
    0, 1000000000, 1.2, 60, 'hard', 'warn', true, '2026-01-12 12:00:00', '2026-01-12 12:00:00');

-- One call of a December that was closed when its model got a price: booked a week before the hour above.
INSERT INTO usage_adjustments (log, src_partition, src_offset, src_index, source, event_id, occurred_at, booked_at, team_id,
    department, cost_center, use_case, stage, model, model_class, calls, input_tokens, output_tokens, cost_nanousd,
    provisional_nanousd, rate_card, unpriced, adjustment_id, kind, reason, made_by, made_at, position, inserted_at)
VALUES ('log', 0, 1000, 0, 'gateway', 'old', '2025-12-20 10:00:00', '2026-01-05 10:00:00', 'search', 'product', 'CC-1',
    'triage', 'production', 'model-a', 'standard', 0, 0, 0, 20000000, 0, 'card', 0, 'reprice-1', 'reprice',
    'a price came later', 'ada', '2026-01-05 10:00:00', 0, '2026-01-05 10:00:01');
