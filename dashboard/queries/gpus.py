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
