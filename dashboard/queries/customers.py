"""What the page of users and customers asks."""

from __future__ import annotations

from farthing import questions

_USERS = f"""
{questions.EARNED},
costs as (
    select
        user_id,
        string_agg(distinct team_id, ', ' order by team_id) as teams,
        string_agg(distinct customer_id, ', ' order by customer_id) as customers,
        sum(direct_cost) as direct_cost,
        sum(idle_cost) as idle_cost,
        sum(shared_cost) as shared_cost,
        sum(training_cost) as training_cost,
        sum(unexplained_cost) as unexplained_cost,
        sum(unobserved_cost) as unobserved_cost,
        sum(unpriced_cost) as unpriced_cost,
        sum(unassigned_cost) as unassigned_cost,
        sum(cost) as cost
    from user_day
    where BillingCurrency = $currency and day between $first and $last
    group by all
),
usage as (
    select
        user_id,
        cast(sum(requests) as bigint) as requests,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens
    from usage_days
    where day between $first and $last
    group by all
),
plans as (
    select user_id, string_agg(distinct plan, ', ' order by plan) as plans
    from user_month
    where month between date_trunc('month', $first) and $last and user_id is not null
    group by all
),
pays as (
    select user_id, sum(amount) as revenue from earned where user_id is not null group by all
),
users as (
    select
        coalesce(costs.user_id, usage.user_id) as user_id,
        costs.* exclude (user_id),
        usage.* exclude (user_id),
        plans.plans,
        pays.revenue
    from costs
    full join usage on costs.user_id is not distinct from usage.user_id
    left join plans on coalesce(costs.user_id, usage.user_id) = plans.user_id
    left join pays on coalesce(costs.user_id, usage.user_id) = pays.user_id
)
"""

#: The line of cost that is nobody's comes first, whatever is searched for.
USERS = (
    _USERS
    + """
select * from users
where
    user_id is null
    or contains(lower(user_id), lower($search))
    or contains(lower(teams), lower($search))
    or contains(lower(customers), lower($search))
order by user_id is not null, cost desc nulls last, user_id
"""
)

SPREAD = (
    _USERS
    + """
select
    count(cost) as users,
    sum(cost) as cost,
    quantile_disc(cost, 0.5) as median,
    quantile_disc(cost, 0.95) as p95,
    max(cost) as highest
from users
where user_id is not null
"""
)

#: How many users lie in each bin; `bin` counts the `$edges` (ascending) that a user's cost reaches.
SPREAD_BINS = (
    _USERS
    + """
select
    len(list_filter(cast($edges as decimal(38, 12)[]), lambda edge: edge <= cost)) as bin,
    count(*) as users,
    sum(cost) as cost
from users
where user_id is not null and cost is not null
group by all
order by bin
"""
)

#: The two users of one plan, of those who cost anything, that lie furthest apart.
EXTREME_PAIR = (
    _USERS
    + """
, one_plan as (
    select user_id, max(plan) as plan from identities where plan is not null and user_id is not null group by all
)
select
    plan,
    arg_max(user_id, users.cost) as dear_user,
    max(users.cost) as dear_cost,
    arg_min(user_id, users.cost) as cheap_user,
    min(users.cost) as cheap_cost,
    arg_max(requests, users.cost) as dear_requests,
    arg_min(requests, users.cost) as cheap_requests
from users
join one_plan using (user_id)
where users.cost > 0 and requests > 0
group by plan
having count(*) > 1
order by max(users.cost) / min(users.cost) desc
limit 1
"""
)

#: Who loses most comes first; what is nobody's has no margin.
CUSTOMERS = f"""
select * from ({questions.CUSTOMERS})
where customer_id is not null
order by margin nulls last, cost desc nulls last, customer_id
"""
