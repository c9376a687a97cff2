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

#: What customers pay for the chosen days: what is paid for a month is spread evenly over its days.
REVENUE_PIECES = """
paid as (
    select
        customer_id,
        plan,
        amount,
        date_trunc('month', period) as month_begin,
        last_day(period) as month_end
    from revenue
    where currency = $currency
),
revenue_pieces as (
    select
        customer_id,
        plan,
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
