-- ledger_equals_the_bill: per pool and currency the day's ledger is what was billed for the day, to the last decimal; and
-- what no bill has confirmed yet is marked so, and no more than is known.
with ledger as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(cost) as cost
    from cost_ledger
    group by all
),

bill as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        money(sum(pico)) as cost
    from day_money
    group by all
)

select
    coalesce(bill.day, ledger.day) as day,
    coalesce(bill.pool, ledger.pool) as pool,
    coalesce(bill.BillingCurrency, ledger.BillingCurrency) as BillingCurrency,
    coalesce(bill.provisional, ledger.provisional) as provisional,
    bill.cost as billed,
    ledger.cost as in_the_ledger
from bill
full join ledger
    on
        bill.day = ledger.day
        and bill.pool = ledger.pool
        and bill.BillingCurrency = ledger.BillingCurrency
        and bill.provisional = ledger.provisional
where coalesce(bill.cost, 0) <> coalesce(ledger.cost, 0)
