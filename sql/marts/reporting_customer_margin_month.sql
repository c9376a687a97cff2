-- reporting_customer_margin_month: customer_margin_month in the reporting currency, all currencies together.
-- grain: month, customer_id
-- column month: first day of the month, UTC; without `reporting_currency` in the configuration this table is empty
-- column customer_id: the customer; null: cost of class cogs that is no customer's
-- column plan: its plans in the month, as the revenue names them
-- column reporting_currency: currency of all amounts
-- column revenue: what it paid for the month, each amount by the rate of its `period`; null where none is known
-- column cogs_cost: its lines of the pools of class cogs, each by the rate of its day; null where a rate is missing
-- column margin: revenue less cogs_cost; null where one of them is not known
with costs as (
    select
        month,
        customer_id,
        reporting_currency,
        sum(reporting_cost) as cogs_cost,
        count(*) filter (where reporting_cost is null) as unknown
    from reporting_month
    where class = 'cogs'
    group by all
),

income as (
    select
        cast(date_trunc('month', revenue.period) as date) as month,
        revenue.customer_id,
        rates.reporting_currency,
        string_agg(distinct revenue.plan, ', ' order by revenue.plan) as plan,
        sum(converted(revenue.amount, rates.rate)) as revenue,
        count(*) filter (where rates.rate is null) as unknown
    from revenue
    inner join reporting_rates as rates
        on
            revenue.period = rates.day
            and revenue.currency = rates.currency
    group by all
),

joined as (
    select
        coalesce(costs.month, income.month) as month,
        coalesce(costs.customer_id, income.customer_id) as customer_id,
        income.plan,
        coalesce(costs.reporting_currency, income.reporting_currency) as reporting_currency,
        case when income.unknown = 0 then income.revenue end as revenue,
        case when costs.unknown = 0 then costs.cogs_cost end as cogs_cost,
        coalesce(costs.unknown, 0) = 0 as cost_known
    from costs
    full join income
        on
            costs.month = income.month
            and costs.customer_id = income.customer_id
),

final as (
    select
        month,
        customer_id,
        plan,
        reporting_currency,
        revenue,
        cogs_cost,
        case when cost_known then revenue - coalesce(cogs_cost, 0) end as margin
    from joined
)

select * from final
