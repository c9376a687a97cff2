-- weighed_requests: the requests that share a pool by weight instead of time: API pools, and the methods tokens and requests.
-- grain: day, method, pool, provisional, x_source, request_id
-- A request belongs whole to the day on which it started. In an API pool with known prices the weight is the price; what
-- no bill has confirmed yet is shared by the requests after its end, in the one pool that estimates them.
-- materialized: view
with flights as (
    select * from flights
    where
        starts_today
        and method = 'phase_time'
        and is_first_of_replica
),

requests as (
    select * from priced_requests
),

pools as (
    select * from settings.pools
),

money as (
    select distinct
        day,
        pool,
        provisional
    from day_money
),

wanted as (
    select * from settings.pool_methods
),

on_gpus as (
    select
        flights.day,
        wanted.method,
        money.provisional,
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
        flights.cache_write_1h_tokens,
        flights.output_tokens,
        cast(null as hugeint) as price_pico
    from flights
    inner join wanted
        on
            flights.pool = wanted.pool
            and wanted.method in ('tokens', 'requests')
    inner join money
        on
            flights.day = money.day
            and flights.pool = money.pool
),

on_apis as (
    select
        requests.day,
        'tokens' as method,
        money.provisional,
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
        requests.cache_write_1h_tokens,
        requests.output_tokens,
        requests.pico as price_pico
    from requests
    inner join pools
        on
            pools.kind = 'api'
            and (pools.provider is null or lower(requests.provider) = lower(pools.provider))
    inner join money
        on
            requests.day = money.day
            and pools.pool = money.pool
    cross join settings.build as build
    left join api_bill_ends as bill_ends on pools.pool = bill_ends.pool
    left join estimating_pools as estimating
        on
            pools.pool = estimating.pool
            and lower(requests.provider) is not distinct from estimating.provider
    where
        not money.provisional
        or (
            estimating.pool is not null
            and epoch_us(requests.started_at) >= coalesce(bill_ends.until_us, 0)
            and epoch_us(requests.started_at) < build.horizon_us
        )
),

candidates as (
    select * from on_gpus
    union all by name
    select * from on_apis
),

final as (
    select
        candidates.* exclude (
            input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, price_pico
        ),
        case
            when candidates.method = 'requests' then 1
            when priced_pools.pool is not null then coalesce(candidates.price_pico, 0)
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
    left join priced_pools
        on
            candidates.day = priced_pools.day
            and candidates.pool = priced_pools.pool
)

select * from final
