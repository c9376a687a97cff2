-- merged_calls: each call that several log lines tell of, and each line that lacked what the spans around it say, as one
-- request.
-- grain: day, x_source, request_id, those of the line of the one who asked
-- Who asked knows the user and the tags; who answered knows the replica, the model and when the first token was there.
-- The tokens are all from one line: the one that was told them, and more kinds of them than the others.
with requests as (
    select * from lake.requests
),

parts as (
    select * from call_parts
    where call is not null
),

lines as (
    select
        requests.* exclude (day, user_id, team_id, customer_id, session_id, agent, feature, environment),
        coalesce(requests.user_id, parts.user_id) as user_id,
        coalesce(requests.team_id, parts.team_id) as team_id,
        coalesce(requests.customer_id, parts.customer_id) as customer_id,
        coalesce(requests.session_id, parts.session_id) as session_id,
        coalesce(requests.agent, parts.agent) as agent,
        coalesce(requests.feature, parts.feature) as feature,
        coalesce(requests.environment, parts.environment) as environment,
        parts.day,
        parts.call,
        parts.inwards,
        row_number() over (
            partition by parts.day, parts.call
            order by
                case requests.usage_quality when 'reported' then 0 when 'estimated' then 1 else 2 end,
                (requests.input_tokens is null)::integer
                + (requests.cached_input_tokens is null)::integer
                + (requests.cache_write_tokens is null)::integer
                + (requests.cache_write_1h_tokens is null)::integer
                + (requests.output_tokens is null)::integer
                + (requests.reasoning_tokens is null)::integer,
                parts.inwards desc
        ) as usage_rank
    from requests
    inner join parts
        on
            requests.x_source = parts.x_source
            and requests.request_id = parts.request_id
),

final as (
    select
        day,
        arg_min(x_source, inwards) as x_source,
        arg_min(request_id, inwards) as request_id,
        arg_max(provider_request_id, inwards) as provider_request_id,
        min(started_at) as started_at,
        arg_max(first_token_at, inwards) as first_token_at,
        arg_max(ended_at, inwards) as ended_at,
        arg_min(user_id, inwards) as user_id,
        arg_min(team_id, inwards) as team_id,
        arg_min(customer_id, inwards) as customer_id,
        arg_min(model, inwards) as model,
        coalesce(arg_max(response_model, inwards), arg_max(model, inwards)) as response_model,
        arg_max(provider, inwards) as provider,
        arg_max(service_tier, inwards) as service_tier,
        arg_max(region, inwards) as region,
        arg_max(replica_id, inwards) as replica_id,
        max(input_tokens) filter (where usage_rank = 1) as input_tokens,
        max(cached_input_tokens) filter (where usage_rank = 1) as cached_input_tokens,
        max(cache_write_tokens) filter (where usage_rank = 1) as cache_write_tokens,
        max(cache_write_1h_tokens) filter (where usage_rank = 1) as cache_write_1h_tokens,
        max(output_tokens) filter (where usage_rank = 1) as output_tokens,
        max(reasoning_tokens) filter (where usage_rank = 1) as reasoning_tokens,
        arg_min(usage_quality, usage_rank) as usage_quality,
        arg_min(work_units, usage_rank) as work_units,
        arg_min(work_unit, usage_rank) as work_unit,
        arg_min(status, inwards) as status,
        arg_min(trace_id, inwards) as trace_id,
        arg_max(span_id, inwards) as span_id,
        arg_min(parent_span_id, inwards) as parent_span_id,
        arg_min(seen_by, inwards) as seen_by,
        arg_min(operation, inwards) as operation,
        arg_min(agent, inwards) as agent,
        arg_min(tool, inwards) as tool,
        arg_min(session_id, inwards) as session_id,
        arg_min(feature, inwards) as feature,
        arg_min(environment, inwards) as environment,
        arg_min(prompt_hash, inwards) as prompt_hash,
        bool_or(gateway_cache_hit) as gateway_cache_hit,
        arg_min(reported_cost, inwards) as reported_cost,
        -- what one who asked wrote wins over what one who answered wrote under the same name
        list_reduce(
            list(tags order by inwards desc) filter (where tags is not null),
            lambda inner_tags, outer_tags : json_merge_patch(inner_tags, outer_tags)::varchar
        ) as tags
    from lines
    group by day, call
)

select * from final
