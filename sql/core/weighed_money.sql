-- weighed_money: the money that weighed requests share, and the sum of their weights.
-- grain: method, pool, currency; for GPU pools the busy money that no job took, for API pools the day's charges
with weights as (
    select
        method,
        pool,
        sum(weight) as weight
    from weighed_requests
    group by all
    having sum(weight) > 0
),

job_money as (
    select
        pool,
        BillingCurrency,
        sum(pico) as pico
    from job_costs
    where pool_kind = 'gpu'
    group by all
),

gpu_money as (
    select
        slot_money.pool,
        slot_money.BillingCurrency,
        sum(slot_money.busy_pico) - coalesce(any_value(job_money.pico), 0) as pico
    from slot_money
    left join job_money
        on
            slot_money.pool = job_money.pool
            and slot_money.BillingCurrency = job_money.BillingCurrency
    where slot_money.pool_kind = 'gpu'
    group by all
),

api_money as (
    select
        pool,
        BillingCurrency,
        pico
    from day_money
    where pool_kind = 'api'
),

money as (
    select * from gpu_money
    union all by name
    select * from api_money
),

final as (
    select
        weights.method,
        weights.pool,
        money.BillingCurrency,
        money.pico,
        cast(weights.weight as hugeint) as weight
    from weights
    inner join money on weights.pool = money.pool
)

select * from final
