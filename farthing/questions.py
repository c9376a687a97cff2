"""What pages and reports ask alike of the published warehouse, so that both show one figure.

Each is SQL over the days from `$first` to `$last`, both included, in `$currency` where it is about money.
"""

from __future__ import annotations

CLASSES = """
select pools.class, cost_ledger.kind, sum(cost_ledger.cost) as cost
from cost_ledger
left join pools using (pool)
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, class, kind
"""

#: What customers pay for the days: what is paid for a month is spread evenly over its days.
_EARNED_OF = """
with paid as (
    select
        customer_id,
        user_id,
        plan,
        amount,
        currency,
        period,
        date_trunc('month', period) as month_begin,
        last_day(period) as month_end
    from revenue
    where {which}
),
earned as (
    select
        customer_id,
        user_id,
        plan,
        currency,
        period,
        cast(
            cast(amount * 1000000000000 as hugeint)
            * (date_diff('day', greatest(month_begin, $first), least(month_end, $last)) + 1)
            // (date_diff('day', month_begin, month_end) + 1)
            as decimal(38, 0)
        ) * 0.000000000001 as amount
    from paid
    where month_begin <= $last and month_end >= $first
)
"""

EARNED = _EARNED_OF.format(which="currency = $currency")

REVENUE = f"{EARNED} select sum(amount) as revenue from earned"

#: What each customer paid and cost, and in the line without a name what is nobody's. Margin is of what serving him
#: cost (class cogs); the class of a pool stands in farthing.toml.
CUSTOMERS = f"""
{EARNED},
paid_by as (
    select customer_id, string_agg(distinct plan, ', ' order by plan) as plans, sum(amount) as revenue
    from earned
    group by all
),
spent as (
    select customer_id, sum(cost) filter (where pools.class = 'cogs') as cogs_cost, sum(cost) as cost
    from cost_ledger
    left join pools using (pool)
    where BillingCurrency = $currency and day between $first and $last
    group by all
),
usage as (
    select customer_id, cast(sum(requests) as bigint) as requests
    from usage_days
    where day between $first and $last
    group by all
),
customers as (
    select
        coalesce(paid_by.customer_id, spent.customer_id) as customer_id,
        paid_by.plans,
        paid_by.revenue,
        spent.cogs_cost,
        spent.cost
    from paid_by
    full join spent on paid_by.customer_id is not distinct from spent.customer_id
)
select
    customers.customer_id,
    customers.plans,
    usage.requests,
    customers.revenue,
    customers.cogs_cost,
    customers.cost,
    customers.revenue - coalesce(customers.cogs_cost, 0) as margin
from customers
left join usage on customers.customer_id is not distinct from usage.customer_id
order by customers.cost desc nulls last, customer_id nulls first
"""

REQUESTS = """
select
    cast(sum(requests) as bigint) as requests,
    cast(sum(requests_without_usage) as bigint) as requests_without_usage,
    cast(sum(input_tokens) + sum(output_tokens) as bigint) as tokens
from usage_days
where day between $first and $last
"""

#: What the company counts its work in, as `[units]` says; of a metric in several dimensions the first by name counts,
#: as in the mart unit_costs, and of a level the mean over the days that have a value.
UNITS = """
with dimensions as (
    select name, min(dimension) as dimension from metrics group by all
)
select
    units.unit,
    case when units.measure = 'mean' then cast(sum(metrics.quantity) / count(distinct metrics.day) as decimal(38, 6))
        else sum(metrics.quantity) end as quantity
from metrics
inner join units on metrics.name = units.metric
inner join dimensions on metrics.name = dimensions.name and metrics.dimension = dimensions.dimension
where metrics.day between $first and $last
group by units.unit, units.measure
order by units.measure = 'mean', units.unit
"""

GPU_NODES = """
select
    pool,
    coalesce(node_id, ResourceId) as node,
    string_agg(distinct gpu_model, ', ' order by gpu_model) as gpu_models,
    count(distinct gpu_uuid) as gpus,
    sum(billed_seconds) as billed_seconds,
    sum(covered_seconds) as covered_seconds,
    sum(busy_seconds) as busy_seconds,
    sum(cost) as cost,
    sum(direct_cost) as direct_cost,
    sum(training_cost) as training_cost,
    sum(idle_cost) as idle_cost,
    sum(unobserved_cost) as unobserved_cost,
    sum(unexplained_cost) as unexplained_cost
from gpu_day
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, pool, node
"""

#: Busy share of observed time, and what the idle rest cost; an hour without telemetry has no share.
GPU_HOURS = """
select
    day,
    hour,
    -- rounded, as sums of floats differ in their last digits from run to run
    cast(round(sum(busy_seconds) / nullif(sum(covered_seconds), 0), 6) as decimal(9, 6)) as busy_share,
    coalesce(sum(idle_cost), 0) as idle_cost
from gpu_hours
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, hour
"""

#: The newest rate in the period, and hours, cost and premium of all its days.
GPU_RATES = """
select
    provider,
    gpu_model,
    pricing_category,
    commitment,
    round(sum(gpu_hours), 6) as gpu_hours,
    sum(cost) as cost,
    arg_max(rate, day) as rate,
    arg_max(cheapest_contracted_rate, day) as cheapest_contracted_rate,
    sum(premium) as premium
from gpu_rate
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, provider, gpu_model, pricing_category, commitment
"""

AMORTISATION = """
select model, sum(cost) as cost
from training_amortisation
where BillingCurrency = $currency and month between date_trunc('month', $first) and $last
group by all
having sum(cost) <> 0
order by cost desc, model
"""

#: Counts are added up over the days: what is seen every day counts every day.
QUALITY = """
select subject, measure, unit, sum(matched) as matched, sum(total) as total, sum(unmatched) as unmatched
from data_quality
where day between $first and $last and unit in ('count', 'seconds', $currency)
group by all
having sum(total) <> 0
order by sum(matched) / sum(total), subject, measure
"""

#: Spend of each currency beside what it is in the reporting currency; no row where none is configured.
CONVERTED = """
select
    reporting_day.BillingCurrency,
    reporting_day.reporting_currency,
    sum(reporting_day.cost) as cost,
    min(reporting_day.rate) as lowest_rate,
    max(reporting_day.rate) as highest_rate,
    min(reporting_day.rate_day) as first_rate_day,
    max(reporting_day.rate_day) as last_rate_day,
    case when count(*) = count(reporting_cost) then sum(reporting_cost) end as reporting_cost,
    sum(reporting_day.cost) filter (where rate is null) as unconverted_cost,
    count(distinct reporting_day.day) filter (where rate is null) as days_without_rate
from reporting_day
where day between $first and $last
group by all
order by reporting_cost desc nulls last, BillingCurrency
"""

#: The totals of all currencies in the reporting one, where there are others; null where a part has no rate.
TOGETHER = f"""
{_EARNED_OF.format(which="true")},
income as (
    select
        case when count(*) = count(rates.rate) then sum(converted(earned.amount, rates.rate)) end as revenue,
        min(rates.rate_day) filter (where rates.derivation <> 'same') as first_rate_day,
        max(rates.rate_day) filter (where rates.derivation <> 'same') as last_rate_day,
        string_agg(distinct rates.rate_source, ', ' order by rates.rate_source) as sources,
        string_agg(distinct earned.currency, ', ' order by earned.currency) filter (
            where rates.rate is null
        ) as without_rate,
        count(*) filter (where earned.currency <> rates.reporting_currency) as foreign_amounts
    from earned
    join reporting_rates as rates on earned.period = rates.day and earned.currency = rates.currency
),
spend as (
    select
        case when count(*) = count(costs.reporting_cost) then sum(costs.reporting_cost) end as cost,
        case
            when count(*) filter (where pools.class = 'cogs' and costs.reporting_cost is null) = 0
                then coalesce(sum(costs.reporting_cost) filter (where pools.class = 'cogs'), 0)
        end as cogs_cost,
        min(rates.rate_day) filter (where rates.derivation <> 'same') as first_rate_day,
        max(rates.rate_day) filter (where rates.derivation <> 'same') as last_rate_day,
        string_agg(distinct rates.rate_source, ', ' order by rates.rate_source) as sources,
        count(*) filter (where costs.BillingCurrency <> rates.reporting_currency) as foreign_amounts
    from reporting_day as costs
    join reporting_rates as rates on costs.day = rates.day and costs.BillingCurrency = rates.currency
    left join pools on costs.pool = pools.pool
    where costs.day between $first and $last
)
select
    reporting.reporting_currency,
    spend.cost,
    income.revenue,
    income.revenue - spend.cogs_cost as gross_margin,
    income.revenue - spend.cost as operating_margin,
    least(spend.first_rate_day, income.first_rate_day) as first_rate_day,
    greatest(spend.last_rate_day, income.last_rate_day) as last_rate_day,
    coalesce(spend.sources, income.sources) as sources,
    income.without_rate as revenue_without_rate
from reporting
cross join spend
cross join income
where spend.foreign_amounts + income.foreign_amounts > 0
"""
