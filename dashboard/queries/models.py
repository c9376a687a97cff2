"""What the page of models asks."""

from __future__ import annotations

#: All cost of the models' lines, idle time of own GPUs included. A model that is served both ways is in neither: its
#: tokens do not say which of them they took.
OWN_AND_BOUGHT = """
with lines as (
    select cost_ledger.model, pools.kind, sum(cost_ledger.cost) as cost
    from cost_ledger
    inner join pools using (pool)
    where
        BillingCurrency = $currency
        and day between $first and $last
        and pools.kind in ('gpu', 'api')
        and cost_ledger.model is not null
    group by all
),
served_one_way as (
    select model, any_value(kind) as kind, sum(cost) as cost from lines group by model having count(*) = 1
),
usage as (
    select model, sum(input_tokens) + sum(output_tokens) as tokens
    from usage_days
    where day between $first and $last
    group by all
)
select kind, sum(cost) as cost, cast(sum(tokens) as bigint) as tokens
from served_one_way
inner join usage using (model)
where tokens > 0
group by all
"""

MODELS = """
with costs as (
    select
        model,
        string_agg(distinct provider, ', ' order by provider) as providers,
        sum(direct_cost) as direct_cost,
        sum(idle_cost) as idle_cost,
        sum(shared_cost) as shared_cost,
        sum(training_cost) as training_cost,
        sum(unexplained_cost) as unexplained_cost,
        sum(unobserved_cost) as unobserved_cost,
        sum(unpriced_cost) as unpriced_cost,
        sum(unassigned_cost) as unassigned_cost,
        sum(cost) as cost
    from model_day
    where BillingCurrency = $currency and day between $first and $last
    group by all
),
usage as (
    select
        model,
        cast(sum(requests) as bigint) as requests,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens
    from usage_days
    where day between $first and $last
    group by all
)
select
    coalesce(costs.model, usage.model) as model,
    costs.* exclude (model),
    usage.* exclude (model)
from costs
full join usage on costs.model is not distinct from usage.model
order by costs.cost desc nulls last, model
"""
