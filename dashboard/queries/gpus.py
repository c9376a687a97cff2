"""What the page of GPUs asks."""

from __future__ import annotations

TIME = """
select
    count(distinct gpu_uuid) as gpus,
    sum(billed_seconds) as billed_seconds,
    sum(covered_seconds) as covered_seconds,
    sum(busy_seconds) as busy_seconds,
    sum(cost) as cost,
    sum(idle_cost) as idle_cost,
    sum(unobserved_cost) as unobserved_cost
from gpu_day
where BillingCurrency = $currency and day between $first and $last
"""

NODES = """
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
order by cost desc, node
"""

#: Busy share of observed time, and what the idle rest cost; a cell without telemetry has no share.
HOURS = """
select
    day,
    hour,
    sum(busy_seconds) / nullif(sum(covered_seconds), 0) as busy_share,
    sum(idle_cost) as idle_cost,
    sum(cost) as cost
from gpu_hours
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, hour
"""

RATES = """
select
    provider,
    gpu_model,
    pricing_category,
    commitment,
    sum(gpu_hours) as gpu_hours,
    sum(cost) as cost,
    arg_max(rate, day) as rate,
    arg_max(cheapest_contracted_rate, day) as cheapest_contracted_rate,
    sum(premium) as premium
from gpu_rate
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, provider, gpu_model
"""
