-- weighed_money: the money that weighed requests share, and the sum of their weights.
-- grain: day, method, pool, currency, provisional
-- For GPU pools the busy money that no job took, for API pools the day's charges; where models without a known price were
-- used, the others share no more than what they cost at theirs.
with weights as (
    select
        day,
        method,
        pool,
        provisional,
        sum(weight) as weight
    from weighed_requests
    group by all
    having sum(weight) > 0
),

job_money as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from job_costs
    where pool_kind = 'gpu'
    group by all
),

gpu_money as (
    select
        slot_money.day,
        slot_money.pool,
        slot_money.BillingCurrency,
        slot_money.provisional,
        sum(slot_money.busy_pico) - coalesce(any_value(job_money.pico), 0) as pico
    from slot_money
    left join job_money
        on
            slot_money.day = job_money.day
            and slot_money.pool = job_money.pool
            and slot_money.BillingCurrency = job_money.BillingCurrency
            and slot_money.provisional = job_money.provisional
    where slot_money.pool_kind = 'gpu'
    group by all
),

api_money as (
    select
        day_money.day,
        day_money.pool,
        day_money.BillingCurrency,
        day_money.provisional,
        case
            when
                priced_pools.unpriced_models > 0
                and coalesce(priced_pools.currency, day_money.BillingCurrency) = day_money.BillingCurrency
                then least(day_money.pico, priced_pools.pico)
            else day_money.pico
        end as pico
    from day_money
    left join priced_pools
        on
            day_money.day = priced_pools.day
            and day_money.pool = priced_pools.pool
    where day_money.pool_kind = 'api'
),

money as (
    select * from gpu_money
    union all by name
    select * from api_money
),

final as (
    select
        weights.day,
        weights.method,
        weights.pool,
        money.BillingCurrency,
        money.provisional,
        money.pico,
        cast(weights.weight as hugeint) as weight
    from weights
    inner join money
        on
            weights.day = money.day
            and weights.pool = money.pool
            and weights.provisional = money.provisional
)

select * from final
