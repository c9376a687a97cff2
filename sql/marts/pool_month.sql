-- pool_month: what was billed for each pool in each month, what is known to come, and what the ledger says of it.
-- grain: month, pool, BillingCurrency
-- column month: first day of the month in which the cost fell, UTC
-- column pool: pool
-- column kind: gpu, api, shared, training, owned or unassigned
-- column class: cogs, rnd or opex; null for what no rule took
-- column gl_account: account of the general ledger that it is booked on
-- column BillingCurrency: currency of the costs
-- column bill_cost: charges spread over the days of the month, as billed
-- column provisional_cost: what no bill has confirmed yet, at known rates and prices
-- column estimated_cost: the part of ledger_cost whose division is estimated, as no telemetry watched
-- column ledger_cost: what the ledger hands out
-- column difference: bill and provisional less ledger; 0.000000000000
with bill as (
    select
        cast(date_trunc('month', day) as date) as month,
        pool,
        pool_kind as kind,
        BillingCurrency,
        sum(cost) filter (where not provisional) as bill_cost,
        sum(cost) filter (where provisional) as provisional_cost
    from pool_days
    group by all
),

ledger as (
    select
        cast(date_trunc('month', day) as date) as month,
        pool,
        BillingCurrency,
        sum(cost) as ledger_cost,
        sum(cost) filter (where estimated) as estimated_cost
    from cost_ledger
    group by all
),

pools as (
    select * from pools
),

final as (
    select
        coalesce(bill.month, ledger.month) as month,
        coalesce(bill.pool, ledger.pool) as pool,
        bill.kind,
        pools.class,
        pools.gl_account,
        coalesce(bill.BillingCurrency, ledger.BillingCurrency) as BillingCurrency,
        coalesce(bill.bill_cost, 0) as bill_cost,
        coalesce(bill.provisional_cost, 0) as provisional_cost,
        coalesce(ledger.estimated_cost, 0) as estimated_cost,
        coalesce(ledger.ledger_cost, 0) as ledger_cost,
        coalesce(bill.bill_cost, 0) + coalesce(bill.provisional_cost, 0) - coalesce(ledger.ledger_cost, 0) as difference
    from bill
    full join ledger
        on
            bill.month = ledger.month
            and bill.pool = ledger.pool
            and bill.BillingCurrency = ledger.BillingCurrency
    left join pools on coalesce(bill.pool, ledger.pool) = pools.pool
)

select * from final
