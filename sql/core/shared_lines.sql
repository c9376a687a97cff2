-- shared_lines: the ledger lines of the pools that nobody uses alone: shared by a driver, owned by a team, unassigned.
-- grain: none; lines are added up in cost_ledger
-- Cumulative integer weights in the order of the ledger's key make the parts add up to the whole.
with money as (
    select * from day_money
),

weights as (
    select * from shared_weights
),

shared_money as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from money
    where pool_kind = 'shared'
    group by all
),

cumulated as (
    select
        weights.*,
        shared_money.provisional,
        shared_money.pico,
        sum(weights.weight) over (
            partition by weights.day, weights.pool, weights.BillingCurrency, shared_money.provisional
            order by
                weights.provider,
                weights.model,
                weights.user_id,
                weights.team_id,
                weights.customer_id,
                weights.feature,
                weights.environment,
                weights.dimensions
            rows between unbounded preceding and current row
        ) as cumulative,
        sum(weights.weight) over (
            partition by weights.day, weights.pool, weights.BillingCurrency, shared_money.provisional
        ) as total
    from weights
    inner join shared_money
        on
            weights.day = shared_money.day
            and weights.pool = shared_money.pool
            and weights.BillingCurrency = shared_money.BillingCurrency
),

shared as (
    select
        * exclude (pico, weight, cumulative, total),
        'shared' as kind,
        pico * cumulative // total - pico * (cumulative - weight) // total as pico
    from cumulated
),

without_driver as (
    select
        shared_money.day,
        shared_money.pool,
        shared_money.BillingCurrency,
        shared_money.provisional,
        'unassigned' as kind,
        shared_money.pico
    from shared_money
    left join (select distinct day, pool, BillingCurrency from weights) as driven
        on
            shared_money.day = driven.day
            and shared_money.pool = driven.pool
            and shared_money.BillingCurrency = driven.BillingCurrency
    where driven.pool is null
),

owned as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        case when owner_team is null then 'unassigned' else 'direct' end as kind,
        owner_team as team_id,
        pico
    from money
    where pool_kind = 'owned'
),

unassigned as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        'unassigned' as kind,
        pico
    from money
    where pool_kind = 'unassigned'
),

final as (
    select * from shared
    union all by name
    select * from without_driver
    union all by name
    select * from owned
    union all by name
    select * from unassigned
)

select * from final
