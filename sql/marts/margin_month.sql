-- margin_month: revenue against what the product cost to run, and against everything.
-- grain: month, BillingCurrency
-- column month: first day of the month, UTC
-- column BillingCurrency: currency of all amounts; those of different currencies are never added
-- column revenue: what customers paid for the month; null where no revenue was collected for it
-- column cogs_cost: cost of the pools of class cogs: what the product costs to run
-- column rnd_cost: cost of the pools of class rnd, training among them
-- column opex_cost: cost of the pools of class opex
-- column unassigned_cost: charges that no rule took
-- column cost: all of the ledger
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column gross_margin: revenue less cogs_cost
-- column gross_margin_share: gross_margin of revenue
-- column operating_margin: revenue less cost
with costs as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) filter (where pools.class = 'cogs') as cogs_cost,
        sum(cost_ledger.cost) filter (where pools.class = 'rnd') as rnd_cost,
        sum(cost_ledger.cost) filter (where pools.class = 'opex') as opex_cost,
        sum(cost_ledger.cost) filter (where pools.class is null) as unassigned_cost,
        sum(cost_ledger.cost) filter (where cost_ledger.provisional) as provisional_cost,
        sum(cost_ledger.cost) as cost
    from cost_ledger
    left join pools on cost_ledger.pool = pools.pool
    group by all
),

income as (
    select
        cast(date_trunc('month', period) as date) as month,
        currency,
        sum(amount) as revenue
    from revenue
    group by all
),

joined as (
    select
        coalesce(costs.month, income.month) as month,
        coalesce(costs.BillingCurrency, income.currency) as BillingCurrency,
        income.revenue,
        costs.cogs_cost,
        costs.rnd_cost,
        costs.opex_cost,
        costs.unassigned_cost,
        costs.cost,
        costs.provisional_cost,
        income.revenue - coalesce(costs.cogs_cost, 0) as gross_margin,
        income.revenue - coalesce(costs.cost, 0) as operating_margin
    from costs
    full join income
        on
            costs.month = income.month
            and costs.BillingCurrency = income.currency
),

final as (
    select
        month,
        BillingCurrency,
        revenue,
        cogs_cost,
        rnd_cost,
        opex_cost,
        unassigned_cost,
        cost,
        provisional_cost,
        gross_margin,
        cast(gross_margin as double) / cast(nullif(revenue, 0) as double) as gross_margin_share,
        operating_margin
    from joined
)

select * from final
