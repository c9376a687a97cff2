"""What the first page asks: spend by class and kind, revenue, units, and what moved."""

from __future__ import annotations

from dashboard.queries.common import REVENUE_PIECES

KINDS_BY_DAY = """
select day, kind, sum(cost) as cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, kind
"""

CLASSES = """
select pools.class, cost_ledger.kind, sum(cost_ledger.cost) as cost
from cost_ledger
left join pools using (pool)
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc
"""

REVENUE = "with " + REVENUE_PIECES + "select sum(amount) as revenue from revenue_pieces"

REQUESTS = "select cast(sum(requests) as bigint) as requests from usage_days where day between $first and $last"

#: What the company counts its work in, as `[units]` says; of a metric in several dimensions the first by name counts,
#: as in the mart unit_costs, and of a level the mean over the days that have a value.
UNITS = """
with dimensions as (
    select name, min(dimension) as dimension from metrics group by all
)
select
    units.unit as name,
    case when units.measure = 'mean' then cast(sum(metrics.quantity) / count(distinct metrics.day) as decimal(38, 6))
        else sum(metrics.quantity) end as quantity
from metrics
inner join units on metrics.name = units.metric
inner join dimensions on metrics.name = dimensions.name and metrics.dimension = dimensions.dimension
where metrics.day between $first and $last
group by units.unit, units.measure
order by units.measure = 'mean', name
"""

#: A model where one is known, else the pool: every line of the ledger is in one of them.
MOVERS = """
select
    coalesce(model, pool) as thing,
    sum(cost) filter (where day >= $first) as cost,
    sum(cost) filter (where day < $first) as cost_before,
    coalesce(sum(cost) filter (where day >= $first), 0) - coalesce(sum(cost) filter (where day < $first), 0) as change
from cost_ledger
where BillingCurrency = $currency and day between $before and $last
group by all
having change <> 0
order by abs(change) desc, thing
limit 8
"""
