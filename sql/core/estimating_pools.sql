-- estimating_pools: the one API pool in which a provider's requests are estimated before their bill.
-- grain: provider (lower case; null where requests name none)
-- Of several pools that share a provider's bills, one that names it goes first, then the one whose bill reaches furthest.
with pools as (
    select * from settings.pools
    where kind = 'api'
),

bill_ends as (
    select * from api_bill_ends
),

providers as (
    select distinct lower(provider) as provider
    from lake.requests
),

final as (
    select
        providers.provider,
        pools.pool
    from providers
    inner join pools on pools.provider is null or providers.provider = lower(pools.provider)
    inner join bill_ends on pools.pool = bill_ends.pool
    qualify
        row_number() over (
            partition by providers.provider
            order by pools.provider is null, bill_ends.until_us desc nulls last, pools.position
        ) = 1
)

select * from final
