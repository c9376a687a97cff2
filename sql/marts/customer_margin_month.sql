-- customer_margin_month: what each customer paid and what running the product cost for it.
-- grain: month, customer_id, BillingCurrency
-- column month: first day of the month, UTC
-- column customer_id: the customer; null: cost of class cogs that is no customer's
-- column plan: its plans in the month, as the revenue names them
-- column BillingCurrency: currency of all amounts; those of different currencies are never added
-- column revenue: what it paid for the month; null where no revenue was collected for it
-- column cogs_cost: its lines of the pools of class cogs
-- column provisional_cost: the part of cogs_cost that no bill has confirmed yet
-- column margin: revenue less cogs_cost; null where no revenue is known
with costs as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        cost_ledger.customer_id,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) as cogs_cost,
        sum(cost_ledger.cost) filter (where cost_ledger.provisional) as provisional_cost
    from cost_ledger
    inner join pools on cost_ledger.pool = pools.pool
    where pools.class = 'cogs'
    group by all
),

income as (
    select
        cast(date_trunc('month', period) as date) as month,
        customer_id,
        currency,
        string_agg(distinct plan, ', ' order by plan) as plan,
        sum(amount) as revenue
    from revenue
    group by all
),

final as (
    select
        coalesce(costs.month, income.month) as month,
        coalesce(costs.customer_id, income.customer_id) as customer_id,
        income.plan,
        coalesce(costs.BillingCurrency, income.currency) as BillingCurrency,
        income.revenue,
        costs.cogs_cost,
        costs.provisional_cost,
        income.revenue - coalesce(costs.cogs_cost, 0) as margin
    from costs
    full join income
        on
            costs.month = income.month
            and costs.customer_id = income.customer_id
            and costs.BillingCurrency = income.currency
)

select * from final
