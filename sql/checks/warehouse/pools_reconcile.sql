-- pools_reconcile: per pool, month and currency, the ledger is the bill.
select
    month,
    pool,
    BillingCurrency,
    bill_cost,
    ledger_cost,
    difference
from pool_month
where difference <> 0
