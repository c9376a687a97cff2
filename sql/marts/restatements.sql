-- restatements: what was said that each full day and pool cost, and by how much it changed when bills came or changed.
-- grain: day, pool, BillingCurrency, stated_at
-- column day: day of the cost, UTC
-- column pool: pool
-- column BillingCurrency: currency of the costs
-- column stated_at: when a build said so first, UTC
-- column billed_cost: what the bill said then
-- column provisional_cost: what no bill had confirmed then
-- column cost: both together
-- column change: cost less what was said before; null the first time
with stated as (
    select * from stated_days
),

final as (
    select
        day,
        pool,
        BillingCurrency,
        stated_at,
        billed_cost,
        provisional_cost,
        cost,
        cost - lag(cost) over (partition by day, pool, BillingCurrency order by stated_at) as change
    from stated
)

select * from final
