-- invoices_reconcile: per invoice, month and currency, ledger and accrued make up what landed.
select
    x_source,
    billing_month,
    InvoiceId,
    BillingCurrency,
    landed_cost,
    ledger_cost,
    accrued_cost,
    difference
from reconciliation
where difference <> 0
