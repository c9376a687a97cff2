"""What the first page asks: spend by day, and what moved."""

from __future__ import annotations

KINDS_BY_DAY = """
select day, kind, sum(cost) as cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, kind
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
