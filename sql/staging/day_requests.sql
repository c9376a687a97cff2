-- day_requests: every request that lived in the days of the batch, with who made it; times in microseconds of the day.
-- grain: day, x_source, request_id; a request that lived in two days is in both
-- A request of the day before has a negative start; `starts_today` says whose day counts it. `party_key` stands for the
-- day and all ledger columns that describe a request: adding up by one number is far faster than by eight texts.
-- materialized: view
with requests as (
    select
        *,
        ledger_dimensions(tags) as dimensions
    from calls
),

batch_days as (
    select * from settings.batch_days
),

identity_windows as (
    select * from identity_windows
),

-- names that gateways write when they know nobody
sentinel_users as (
    select distinct lower(user_id) as name
    from settings.sentinel_users
),

named as (
    select
        requests.day,
        requests.x_source,
        requests.request_id,
        epoch_us(requests.started_at) - batch_days.start_us as started_us,
        epoch_us(requests.first_token_at) - batch_days.start_us as first_us,
        epoch_us(requests.ended_at) - batch_days.start_us as ended_us,
        requests.started_at >= batch_days.started_at as starts_today,
        requests.started_at,
        requests.ended_at,
        requests.provider,
        coalesce(requests.response_model, requests.model) as model,
        requests.model as asked_model,
        requests.service_tier,
        case
            when sentinel_users.name is null then coalesce(identity_windows.user_id, requests.user_id)
        end as user_id,
        coalesce(requests.team_id, identity_windows.team_id) as team_id,
        coalesce(requests.customer_id, identity_windows.customer_id) as customer_id,
        identity_windows.id is not null as is_known_identity,
        requests.feature,
        requests.environment,
        requests.dimensions,
        requests.replica_id,
        requests.input_tokens,
        requests.cached_input_tokens,
        requests.cache_write_tokens,
        requests.cache_write_1h_tokens,
        requests.output_tokens,
        requests.reasoning_tokens,
        requests.usage_quality,
        requests.work_units,
        requests.reported_cost,
        requests.trace_id,
        requests.agent,
        -- an answer from a gateway's cache cost nothing upstream
        coalesce(requests.gateway_cache_hit, false) as is_cache_hit
    from requests
    inner join batch_days on requests.day = batch_days.day
    left join identity_windows
        on
            requests.user_id = identity_windows.id
            and requests.started_at >= identity_windows.from_at
            and requests.started_at < identity_windows.to_at
    left join sentinel_users on lower(trim(requests.user_id)) = sentinel_users.name
),

final as (
    select
        *,
        hash(day, provider, model, user_id, team_id, customer_id, feature, environment, dimensions) as party_key
    from named
)

select * from final
