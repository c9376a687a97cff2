-- api_requests: the requests that share the money of each API pool, each in the group whose money it shares.
-- grain: day, pool, provisional, x_source, request_id
-- Where a pool has known prices and its bill names models, the requests of each are a group; those of other models are one
-- more, `billed_as` ''. What no bill has confirmed yet is shared by the requests after its end, in the one pool that
-- estimates them.
-- materialized: view
with requests as (
    select * from priced_requests
),

pools as (
    select * from settings.pools
    where kind = 'api'
),

money as (
    select distinct
        day,
        pool,
        provisional
    from api_money
),

named as (
    select distinct
        day,
        pool,
        provisional,
        billed_as
    from api_money
    where billed_as is not null
),

final as (
    select
        requests.* exclude (billed_as),
        money.provisional,
        pools.pool,
        priced_pools.pool is not null as has_prices,
        coalesce(named.billed_as, '') as billed_as
    from requests
    inner join pools on pools.provider is null or lower(requests.provider) = lower(pools.provider)
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
    left join priced_pools
        on
            requests.day = priced_pools.day
            and pools.pool = priced_pools.pool
    left join named
        on
            priced_pools.pool = named.pool
            and requests.day = named.day
            and money.provisional = named.provisional
            and requests.billed_as = named.billed_as
    where
        not money.provisional
        or (
            estimating.pool is not null
            and epoch_us(requests.started_at) >= coalesce(bill_ends.until_us, 0)
            and epoch_us(requests.started_at) < build.horizon_us
        )
)

select * from final
