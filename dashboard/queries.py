"""What the page of costs asks of the warehouse; `$currency`, `$first` and `$last` are the reader's choice."""

from __future__ import annotations

CURRENCIES = "select BillingCurrency from totals order by bill_cost desc, BillingCurrency"

DAYS = "select min(day) as first, max(day) as last from cost_ledger"

PUBLISHED = "select built_at, horizon from build_info"

#: What is still to come after the last day that was built belongs to a period that ends with that day.
TIE = """
with newest as (select max(day) as day from cost_ledger),
bill as (
    select coalesce(sum(cost), 0) as cost from pool_days
    where BillingCurrency = $currency and day between $first and $last
),
ledger as (
    select
        coalesce(sum(cost), 0) as cost,
        coalesce(sum(cost) filter (where provisional), 0) as provisional_cost
    from cost_ledger
    where BillingCurrency = $currency and day between $first and $last
),
accrued as (
    select coalesce(sum(totals.accrued_cost), 0) as cost
    from totals cross join newest
    where totals.BillingCurrency = $currency and newest.day <= $last
)
select
    bill.cost + accrued.cost as bill_cost,
    ledger.cost as ledger_cost,
    accrued.cost as accrued_cost,
    bill.cost - ledger.cost as difference,
    ledger.provisional_cost
from bill cross join ledger cross join accrued
"""

KINDS_BY_DAY = """
select day, kind, sum(cost) as cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
group by all
order by day, kind
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

_USERS = """
with costs as (
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
users as (
    select
        coalesce(costs.user_id, usage.user_id) as user_id,
        costs.* exclude (user_id),
        usage.* exclude (user_id)
    from costs
    full join usage on costs.user_id is not distinct from usage.user_id
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

POOLS = """
with bill as (
    select pool, pool_kind as kind, sum(cost) as bill_cost
    from pool_days
    where BillingCurrency = $currency and day between $first and $last
    group by all
),
ledger as (
    select pool, sum(cost) as ledger_cost
    from cost_ledger
    where BillingCurrency = $currency and day between $first and $last
    group by all
)
select
    coalesce(bill.pool, ledger.pool) as pool,
    bill.kind,
    pools.class,
    coalesce(bill.bill_cost, 0) as bill_cost,
    coalesce(ledger.ledger_cost, 0) as ledger_cost,
    coalesce(bill.bill_cost, 0) - coalesce(ledger.ledger_cost, 0) as difference
from bill
full join ledger on bill.pool = ledger.pool
left join pools on coalesce(bill.pool, ledger.pool) = pools.pool
order by bill_cost desc, pool
"""

INVOICES = """
select
    billing_month, InvoiceId, x_source, file_cost, rounding, landed_cost, ledger_cost, accrued_cost, difference
from reconciliation
where BillingCurrency = $currency
order by billing_month desc, landed_cost desc, InvoiceId
"""

#: Counts are added up over the days: what is seen every day counts every day.
QUALITY = """
select subject, measure, unit, sum(matched) as matched, sum(total) as total, sum(unmatched) as unmatched
from data_quality
where day between $first and $last and unit in ('count', 'seconds', $currency)
group by all
having sum(total) <> 0
order by sum(matched) / sum(total), subject, measure
"""

REJECTS = "select x_source, rows_rejected, failed_files from freshness where rows_rejected > 0 or failed_files > 0"
