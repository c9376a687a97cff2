-- api_lines: the ledger lines of vendor model APIs: the logged requests, what is left for models without a known price,
-- and what no logged request explains.
-- grain: none; lines are added up in cost_ledger
with money as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from day_money
    where pool_kind = 'api'
    group by all
),

pools as (
    select * from settings.pools
),

direct as (
    select
        * exclude (pool_kind),
        'direct' as kind
    from direct_costs
    where pool_kind = 'api'
),

explained as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from direct
    group by all
),

left_over as (
    select
        groups.day,
        groups.pool,
        groups.BillingCurrency,
        groups.provisional,
        'unpriced' as kind,
        pools.provider,
        case when groups.unpriced_models = 1 then groups.unpriced_model end as model,
        groups.unpriced_pico as pico
    from api_groups as groups
    inner join pools on groups.pool = pools.pool
    where groups.unpriced_pico <> 0
    union all by name
    select
        groups.day,
        groups.pool,
        groups.BillingCurrency,
        groups.provisional,
        'unexplained' as kind,
        pools.provider,
        groups.model,
        groups.volume_pico - groups.handed_pico as pico
    from api_groups as groups
    inner join pools on groups.pool = pools.pool
    where groups.volume_pico <> groups.handed_pico
),

named as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from left_over
    group by all
),

-- nobody's: what is less than a pico-unit for each request, and money that no request can have a part of
rest as (
    select
        money.day,
        money.pool,
        money.BillingCurrency,
        money.provisional,
        'unexplained' as kind,
        pools.provider,
        money.pico - coalesce(explained.pico, 0) - coalesce(named.pico, 0) as pico
    from money
    inner join pools on money.pool = pools.pool
    left join explained
        on
            money.day = explained.day
            and money.pool = explained.pool
            and money.BillingCurrency = explained.BillingCurrency
            and money.provisional = explained.provisional
    left join named
        on
            money.day = named.day
            and money.pool = named.pool
            and money.BillingCurrency = named.BillingCurrency
            and money.provisional = named.provisional
),

final as (
    select * from direct
    union all by name
    select * from left_over
    union all by name
    select * from rest
)

select * from final
