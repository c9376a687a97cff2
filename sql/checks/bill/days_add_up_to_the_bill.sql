-- days_add_up_to_the_bill: per pool and currency, the days so far and the hours to come are the whole bill.
with days as (
    select
        pool,
        BillingCurrency,
        sum(pico) as pico
    from pool_days
    where not provisional
    group by all
),

bill as (
    select
        pool,
        BillingCurrency,
        sum(pico) as pico,
        sum(accrued_pico) as accrued_pico
    from bill_totals
    group by all
)

select
    bill.pool,
    bill.BillingCurrency,
    bill.pico as billed_pico,
    bill.accrued_pico,
    days.pico as spread_pico
from bill
left join days
    on
        bill.pool = days.pool
        and bill.BillingCurrency = days.BillingCurrency
where bill.pico <> bill.accrued_pico + coalesce(days.pico, 0)
