"""What the page of anomalies and budgets asks: episodes, what people said of them, mutes, and how budgets stand."""

from __future__ import annotations

EPISODES = """
with said as (
    select episode_id, max_by(verdict, given_at) as verdict, max_by(note, given_at) as note
    from anomaly_feedback
    group by all
)
select episodes.*, said.verdict, said.note
from episodes
left join said using (episode_id)
where BillingCurrency = $currency
order by state <> 'open', level <> 'page', parent_id is not null, abs(impact) desc, first_day, episode_id
"""

MUTES = """
select mute_id, dimension, key, rule, from_day, until_day, reason, author
from mutes
where ended_at is null and coalesce(until_day, date 'infinity') >= current_date
order by made_at desc
"""

#: How each budget stood when it was looked at last.
BUDGETS = """
select *
from budget_status
where BillingCurrency = $currency
qualify row_number() over (partition by budget, dimension, key order by as_of desc, period_start desc) = 1
order by threshold desc nulls last, budget, key
"""

#: Cost of a scope around an episode; a scope that is no dimension of `scope_days` has none.
DAYS = """
select day, cost
from scope_days
where
    BillingCurrency = $currency and dimension = $dimension and key is not distinct from $key
    and day between cast($first as date) - 42 and cast($last as date) + 14
order by day
"""
