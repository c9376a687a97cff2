-- weighed_requests: the requests that share a pool by weight instead of time: API pools, and the methods tokens and requests.
-- grain: method, pool, x_source, request_id
-- A request belongs whole to the day on which it started.
-- materialized: view
with flights as (
    select * from flights
    where
        starts_today
        and method = 'phase_time'
),

requests as (
    select * from day_requests
    where
        starts_today
        and not is_cache_hit
),

own_replicas as (
    -- also replicas whose bill is not there yet: their requests are never a vendor's
    select distinct replica_id from gpu_slots
    where replica_id is not null
),

pools as (
    select * from settings.pools
),

wanted as (
    select * from settings.pool_methods
),

on_gpus as (
    select
        wanted.method,
        flights.pool,
        flights.x_source,
        flights.request_id,
        flights.provider,
        flights.model,
        flights.user_id,
        flights.team_id,
        flights.customer_id,
        flights.feature,
        flights.environment,
        flights.dimensions,
        flights.trace_id,
        flights.agent,
        flights.replica_id,
        flights.input_tokens,
        flights.cached_input_tokens,
        flights.cache_write_tokens,
        flights.output_tokens
    from flights
    inner join wanted
        on
            flights.pool = wanted.pool
            and wanted.method in ('tokens', 'requests')
),

on_apis as (
    select
        'tokens' as method,
        pools.pool,
        requests.x_source,
        requests.request_id,
        requests.provider,
        requests.model,
        requests.user_id,
        requests.team_id,
        requests.customer_id,
        requests.feature,
        requests.environment,
        requests.dimensions,
        requests.trace_id,
        requests.agent,
        requests.replica_id,
        requests.input_tokens,
        requests.cached_input_tokens,
        requests.cache_write_tokens,
        requests.output_tokens
    from requests
    left join own_replicas on requests.replica_id = own_replicas.replica_id
    inner join pools
        on
            pools.kind = 'api'
            and (pools.provider is null or lower(requests.provider) = lower(pools.provider))
    where own_replicas.replica_id is null
),

candidates as (
    select * from on_gpus
    union all by name
    select * from on_apis
),

final as (
    select
        candidates.* exclude (input_tokens, cached_input_tokens, cache_write_tokens, output_tokens),
        case
            when candidates.method = 'requests' then 1
            else
                (
                    coalesce(candidates.input_tokens, 0)
                    - coalesce(candidates.cached_input_tokens, 0)
                    - coalesce(candidates.cache_write_tokens, 0)
                ) * pools.input_weight
                + coalesce(candidates.cached_input_tokens, 0) * pools.cached_input_weight
                + coalesce(candidates.cache_write_tokens, 0) * pools.cache_write_weight
                + coalesce(candidates.output_tokens, 0) * pools.output_weight
        end as weight
    from candidates
    inner join pools on candidates.pool = pools.pool
)

select * from final
