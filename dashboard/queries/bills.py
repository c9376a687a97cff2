"""What the page of bills asks: the tie, pools, invoices, restatements, what is unmatched, and how fresh all is."""

from __future__ import annotations

#: The bill against the part of the ledger that stands on it; what no bill has confirmed yet is beside it.
#: What is still to come after the last day that was built belongs to a period that ends with that day.
TIE = """
with newest as (select max(day) as day from cost_ledger),
bill as (
    select coalesce(sum(cost), 0) as cost from pool_days
    where not provisional and BillingCurrency = $currency and day between $first and $last
),
ledger as (
    select
        coalesce(sum(cost) filter (where not provisional), 0) as cost,
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

#: The newest month with a bill that begins in the period or before it.
WALKED = """
select max(month) as month
from reconciliation_causes
where kind = 'bill' and BillingCurrency = $currency and month <= $last
"""

PAPERS = """
select provider, account, InvoiceId, amount, tax, bill_cost, difference, cause, residual
from invoice_totals
where currency = $currency and month = $month
order by abs(coalesce(residual, 0)) desc, provider, account, InvoiceId
"""

FRESHNESS = """
select x_source, table_name, files, rows_landed, rows_rejected, failed_files, newest_load_at
from freshness
order by rows_rejected + failed_files desc, x_source
"""

RESTATEMENTS = """
select stated_at, pool, min(day) as first_day, max(day) as last_day, sum(change) as change, sum(cost) as cost
from restatements
where BillingCurrency = $currency and day between $first and $last and change <> 0
group by all
order by stated_at desc, abs(sum(change)) desc
limit 200
"""

UNMATCHED = """
select subject, key, first_day, last_day, requests, gpu_seconds, cost
from unmatched
where (BillingCurrency = $currency or BillingCurrency is null) and first_day <= $last and last_day >= $first
order by cost desc nulls last, requests desc nulls last
limit 200
"""
