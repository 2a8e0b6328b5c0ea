-- Every delivery at some source offsets of one partition, also those that a merge will drop, with all that enrich wrote but the hash of the user, which
-- analysts may not read.
SELECT
    `src_partition`, `src_offset`, `src_index`, `ingested_at`, `event_id`, `source`, `occurred_at`, `team_id`,
    `project_id`, `credential_id`, `use_case`, `workflow`, `workflow_version`, `prompt_template`, `application`,
    `stage`, `data_class`, `approval`, `provider`, `model`, `response_model`, `operation`, `service_tier`,
    `route_reason`, `gateway_cache_hit`, `input_tokens`, `cache_read_tokens`, `cache_write_tokens`,
    `cache_write_1h_tokens`, `output_tokens`, `reasoning_tokens`, `meters`, `latency_ms`, `ttft_ms`, `status`,
    `error_type`, `attempt`, `retry_of`, `prompt_hash`, `prefix_hash`, `prefix_tokens`, `trace_id`, `session_id`,
    `provider_request_id`, `client_name`, `client_version`, `reported_cost_nanousd`, `tags`, `claimed_team_id`,
    `attribution`, `attribution_conflict`, `department`, `cost_center`, `model_class`, `late`, `cost_nanousd`,
    `input_cost_nanousd`, `cache_read_cost_nanousd`, `cache_write_cost_nanousd`, `output_cost_nanousd`,
    `provisional_nanousd`, `price_status`, `price_note`, `price_key`, `price_context`, `long_context`, `rate_card`,
    `role`, `criticality`, `claimed_use_case`, `claimed_stage`, `policy_verdict`, `policy_rule`, `retention_class`
FROM usage_events_raw
WHERE toStartOfHour(occurred_at) IN (SELECT toDateTime(arrayJoin({hours:Array(UInt32)}), 'UTC'))
    AND log = {log:String} AND src_partition = {partition:Int32}
    AND src_offset >= {first:Int64} AND src_offset < {next:Int64}
ORDER BY src_offset, src_index
