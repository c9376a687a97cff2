"""What every page asks: currencies, days, what was published, and how firm the figures are."""

from __future__ import annotations

CURRENCIES = "select BillingCurrency from totals order by bill_cost desc, BillingCurrency"

DAYS = "select min(day) as first, max(day) as last from cost_ledger"

PUBLISHED = "select built_at, horizon from build_info"

STANDING = """
select
    coalesce(sum(cost), 0) as cost,
    coalesce(sum(cost) filter (where provisional), 0) as provisional_cost,
    coalesce(sum(cost) filter (where estimated), 0) as estimated_cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
"""
