-- walks_end_at_the_ledger: bill and causes make up the ledger of each line, and all lines that of each month.
with walks as (
    select
        month,
        BillingCurrency,
        x_source,
        provider,
        BillingAccountId,
        SubAccountId,
        InvoiceId,
        billing_month,
        sum(amount) filter (where kind <> 'ledger') as walked,
        coalesce(sum(amount) filter (where kind = 'ledger'), 0) as in_the_ledger
    from reconciliation_causes
    group by all
),

months as (
    select
        month,
        BillingCurrency,
        sum(in_the_ledger) as in_the_walks
    from walks
    group by all
),

ledger as (
    select
        cast(date_trunc('month', day) as date) as month,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    group by all
)

select
    month,
    BillingCurrency,
    x_source,
    SubAccountId,
    InvoiceId,
    walked,
    in_the_ledger
from walks
where walked <> in_the_ledger

union all

select
    coalesce(months.month, ledger.month) as month,
    coalesce(months.BillingCurrency, ledger.BillingCurrency) as BillingCurrency,
    null as x_source,
    null as SubAccountId,
    null as InvoiceId,
    coalesce(months.in_the_walks, 0) as walked,
    coalesce(ledger.cost, 0) as in_the_ledger
from months
full join ledger
    on
        months.month = ledger.month
        and months.BillingCurrency = ledger.BillingCurrency
where coalesce(months.in_the_walks, 0) <> coalesce(ledger.cost, 0)
