-- weighed_money: the money that weighed requests share, and the sum of their weights.
-- grain: day, method, pool, share_group, currency, provisional
-- For GPU pools the busy money that no job took; for API pools what the true-up leaves to the requests of a group.
with weights as (
    select
        day,
        method,
        pool,
        provisional,
        share_group,
        sum(weight) as weight,
        sum(volume_weight) as volume_weight
    from weighed_requests
    group by all
    having sum(weight) > 0 or sum(volume_weight) > 0
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
        '' as share_group,
        cast(0 as hugeint) as volume_pico,
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
        day,
        pool,
        BillingCurrency,
        provisional,
        billed_as as share_group,
        shared_pico as pico,
        handed_pico as volume_pico
    from api_groups
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
        money.share_group,
        money.pico,
        cast(weights.weight as hugeint) as weight,
        money.volume_pico,
        cast(weights.volume_weight as hugeint) as volume_weight
    from weights
    inner join money
        on
            weights.day = money.day
            and weights.pool = money.pool
            and weights.provisional = money.provisional
            and weights.share_group = money.share_group
)

select * from final
