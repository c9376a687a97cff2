-- reporting_margin_month: margin_month in the reporting currency: revenue and cost of all currencies, converted.
-- grain: month
-- column month: first day of the month, UTC; without `reporting_currency` in the configuration this table is empty
-- column reporting_currency: currency of all amounts
-- column revenue: what customers paid for the month, each amount by the rate of its `period`; null where none was collected
-- column cogs_cost: cost of the pools of class cogs, each line of the ledger by the rate of its day
-- column rnd_cost: cost of the pools of class rnd, training among them
-- column opex_cost: cost of the pools of class opex
-- column unassigned_cost: charges that no rule took
-- column cost: all of the ledger
-- column gross_margin: revenue less cogs_cost
-- column gross_margin_share: gross_margin of revenue
-- column operating_margin: revenue less cost
-- column first_rate_day: the earliest day that one of the rates was published for
-- column last_rate_day: the latest
-- column without_rate: currencies of which some day has no rate; amounts that they are part of are null; null: none
with costs as (
    select
        month,
        reporting_currency,
        sum(reporting_cost) filter (where class = 'cogs') as cogs_cost,
        sum(reporting_cost) filter (where class = 'rnd') as rnd_cost,
        sum(reporting_cost) filter (where class = 'opex') as opex_cost,
        sum(reporting_cost) filter (where class is null) as unassigned_cost,
        sum(reporting_cost) as cost,
        count(*) filter (where class = 'cogs' and reporting_cost is null) as cogs_unknown,
        count(*) filter (where class = 'rnd' and reporting_cost is null) as rnd_unknown,
        count(*) filter (where class = 'opex' and reporting_cost is null) as opex_unknown,
        count(*) filter (where class is null and reporting_cost is null) as unassigned_unknown,
        count(*) filter (where reporting_cost is null) as unknown
    from reporting_month
    group by all
),

income as (
    select
        cast(date_trunc('month', revenue.period) as date) as month,
        rates.reporting_currency,
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
        coalesce(costs.reporting_currency, income.reporting_currency) as reporting_currency,
        case when income.unknown = 0 then income.revenue end as revenue,
        case when costs.cogs_unknown = 0 then costs.cogs_cost end as cogs_cost,
        case when costs.rnd_unknown = 0 then costs.rnd_cost end as rnd_cost,
        case when costs.opex_unknown = 0 then costs.opex_cost end as opex_cost,
        case when costs.unassigned_unknown = 0 then costs.unassigned_cost end as unassigned_cost,
        case when costs.unknown = 0 then costs.cost end as cost,
        coalesce(costs.cogs_unknown, 0) = 0 as cogs_known,
        coalesce(costs.unknown, 0) = 0 as cost_known
    from costs
    full join income on costs.month = income.month
),

margins as (
    select
        *,
        case when cogs_known then revenue - coalesce(cogs_cost, 0) end as gross_margin,
        case when cost_known then revenue - coalesce(cost, 0) end as operating_margin
    from joined
),

rates as (
    select
        cast(date_trunc('month', day) as date) as month,
        min(rate_day) as first_rate_day,
        max(rate_day) as last_rate_day,
        string_agg(distinct currency, ', ' order by currency) filter (where rate is null) as without_rate
    from reporting_rates
    group by all
),

final as (
    select
        margins.month,
        margins.reporting_currency,
        margins.revenue,
        margins.cogs_cost,
        margins.rnd_cost,
        margins.opex_cost,
        margins.unassigned_cost,
        margins.cost,
        margins.gross_margin,
        cast(margins.gross_margin as double) / cast(nullif(margins.revenue, 0) as double) as gross_margin_share,
        margins.operating_margin,
        rates.first_rate_day,
        rates.last_rate_day,
        rates.without_rate
    from margins
    left join rates on margins.month = rates.month
)

select * from final
