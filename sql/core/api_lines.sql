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
        money.day,
        money.pool,
        money.BillingCurrency,
        money.provisional,
        case when priced_pools.unpriced_models > 0 then 'unpriced' else 'unexplained' end as kind,
        pools.provider,
        case when priced_pools.unpriced_models = 1 then priced_pools.unpriced_model end as model,
        money.pico - coalesce(explained.pico, 0) as pico
    from money
    inner join pools on money.pool = pools.pool
    left join priced_pools
        on
            money.day = priced_pools.day
            and money.pool = priced_pools.pool
    left join explained
        on
            money.day = explained.day
            and money.pool = explained.pool
            and money.BillingCurrency = explained.BillingCurrency
            and money.provisional = explained.provisional
),

final as (
    select * from direct
    union all by name
    select * from left_over
)

select * from final
