-- margin_lines_leave_nothing_out: by month and currency they have all revenue, shared or not, and the ledger's cost of
-- class cogs with the pools of credits.
with lines as (
    select
        month,
        BillingCurrency,
        coalesce(sum(revenue), 0) as revenue,
        coalesce(sum(revenue_by_cost), 0) as revenue_by_cost,
        coalesce(sum(cogs_cost), 0) + coalesce(sum(credits), 0) as cost
    from margin_lines
    group by all
),

income as (
    select
        cast(date_trunc('month', period) as date) as month,
        currency as BillingCurrency,
        sum(amount) as revenue
    from revenue
    group by all
),

credit_pools as (
    select pool
    from charges
    group by all
    having bool_and(is_promotional_credit)
),

ledger as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) as cost
    from cost_ledger
    left join pools on cost_ledger.pool = pools.pool
    left join credit_pools on cost_ledger.pool = credit_pools.pool
    where
        pools.class = 'cogs'
        or credit_pools.pool is not null
    group by all
)

select
    coalesce(lines.month, income.month, ledger.month) as month,
    coalesce(lines.BillingCurrency, income.BillingCurrency, ledger.BillingCurrency) as BillingCurrency,
    income.revenue,
    lines.revenue as revenue_of_lines,
    lines.revenue_by_cost,
    ledger.cost,
    lines.cost as cost_of_lines
from lines
full join income
    on
        lines.month = income.month
        and lines.BillingCurrency = income.BillingCurrency
full join ledger
    on
        lines.month = ledger.month
        and lines.BillingCurrency = ledger.BillingCurrency
where
    lines.month is null
    or lines.revenue <> coalesce(income.revenue, 0)
    or lines.revenue_by_cost <> coalesce(income.revenue, 0)
    or lines.cost <> coalesce(ledger.cost, 0)
