-- weighed_requests: the requests that share a pool by weight instead of time: API pools, and the methods tokens and requests.
-- grain: day, method, pool, provisional, x_source, request_id
-- A request belongs whole to the day on which it started. In an API pool with known prices the weight is the price, inside
-- the group whose money it shares; `volume_weight` is for what the vendor counted and nobody logged.
-- materialized: view
with flights as (
    select * from flights
    where
        starts_today
        and method = 'phase_time'
        and is_first_of_replica
),

requests as (
    select * from api_requests
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
        flights.output_tokens,
        '' as share_group,
        false as has_prices,
        false as takes_volume,
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
        day,
        'tokens' as method,
        provisional,
        pool,
        x_source,
        request_id,
        provider,
        model,
        user_id,
        team_id,
        customer_id,
        feature,
        environment,
        dimensions,
        trace_id,
        agent,
        replica_id,
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens,
        billed_as as share_group,
        has_prices,
        has_prices and usage_quality <> 'reported' as takes_volume,
        pico as price_pico
    from requests
),

candidates as (
    select * from on_gpus
    union all by name
    select * from on_apis
),

final as (
    select
        candidates.* exclude (
            input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, price_pico, has_prices, takes_volume
        ),
        case
            when candidates.method = 'requests' then 1
            when candidates.has_prices then coalesce(candidates.price_pico, 0)
            else
                (
                    coalesce(candidates.input_tokens, 0)
                    - coalesce(candidates.cached_input_tokens, 0)
                    - coalesce(candidates.cache_write_tokens, 0)
                ) * pools.input_weight
                + coalesce(candidates.cached_input_tokens, 0) * pools.cached_input_weight
                + coalesce(candidates.cache_write_tokens, 0) * pools.cache_write_weight
                + coalesce(candidates.output_tokens, 0) * pools.output_weight
        end as weight,
        cast(candidates.takes_volume as bigint) as volume_weight
    from candidates
    inner join pools on candidates.pool = pools.pool
)

select * from final
