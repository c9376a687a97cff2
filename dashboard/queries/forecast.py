"""What the page of the forecast asks: the newest issued forecast, its landings, and what earlier ones were worth."""

from __future__ import annotations

#: The forecast that was issued last in the chosen currency; none before the first.
NEWEST = """
select
    max_by(issue_id, issued_at) as issue_id, max(issued_at) as issued_at, max_by(as_of, issued_at) as as_of
from landings
where BillingCurrency = $currency
having count(*) > 0
"""

SCOPES = """
select dimension, key
from landings
where issue_id = $issue and BillingCurrency = $currency
group by dimension, key
order by case dimension when 'total' then '' else dimension end, max(forecast) desc, key
"""

LANDINGS = """
select month, dimension, key, model, actual, forecast, q10, q90, q025, q975
from landings
where issue_id = $issue and BillingCurrency = $currency
order by month, dimension <> 'total', dimension, forecast desc, key
"""

AHEAD = """
select day, model, forecast, q025, q10, q90, q975
from forecasts
where
    issue_id = $issue and BillingCurrency = $currency
    and dimension = $dimension and key is not distinct from $key
order by day
"""

PAST = """
select day, cost, provisional_cost
from scope_days
where
    BillingCurrency = $currency and dimension = $dimension and key is not distinct from $key
    and day > $as_of - 90
order by day
"""
