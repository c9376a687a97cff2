-- api_lines: the ledger lines of vendor model APIs: the logged requests, and what no logged request explains.
-- grain: none; lines are added up in cost_ledger
with money as (
    select
        pool,
        BillingCurrency,
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
        pool,
        BillingCurrency,
        sum(pico) as pico
    from direct
    group by all
),

unexplained as (
    select
        money.pool,
        money.BillingCurrency,
        'unexplained' as kind,
        pools.provider,
        money.pico - coalesce(explained.pico, 0) as pico
    from money
    inner join pools on money.pool = pools.pool
    left join explained
        on
            money.pool = explained.pool
            and money.BillingCurrency = explained.BillingCurrency
),

final as (
    select * from direct
    union all by name
    select * from unexplained
)

select * from final
