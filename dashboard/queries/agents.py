"""What the page of agents and tasks asks. A task belongs to the day on which it began."""

from __future__ import annotations

_TASKS = """
with tasks as (
    select trace_id, user_id, customer_id, started_at, ended_at, llm_calls, agents, cost
    from trace_costs
    where BillingCurrency = $currency and cast(started_at as date) between $first and $last
)
"""

SPREAD = (
    _TASKS
    + """
select
    count(cost) as tasks,
    sum(cost) as cost,
    quantile_disc(cost, 0.5) as median,
    quantile_disc(cost, 0.95) as p95,
    quantile_disc(cost, 0.99) as p99,
    max(cost) as highest
from tasks
"""
)

SPREAD_BINS = (
    _TASKS
    + """
select
    len(list_filter(cast($edges as decimal(38, 12)[]), lambda edge: edge <= cost)) as bin,
    count(*) as tasks,
    sum(cost) as cost
from tasks
where cost is not null
group by all
order by bin
"""
)

DEAREST = _TASKS + "select * from tasks order by cost desc nulls last, trace_id limit 100"

AGENTS = """
select
    agent,
    count(distinct trace_id) as tasks,
    cast(sum(llm_calls) as bigint) as llm_calls,
    sum(cost) as cost
from trace_days
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc nulls last, agent
"""

#: Of the requests that the warehouse keeps, the last `[warehouse] request_days` days.
TOOLS = """
with costs as (
    select request_costs.x_source, request_costs.request_id, sum(request_costs.cost) as cost
    from request_costs
    join pools on request_costs.pool = pools.pool and request_costs.method = pools.method
    where request_costs.BillingCurrency = $currency and request_costs.day between $first and $last
    group by all
)
select tool, count(*) as llm_calls, count(distinct trace_id) as tasks, sum(costs.cost) as cost
from requests
join costs using (x_source, request_id)
where tool is not null
group by all
order by cost desc, tool
"""
