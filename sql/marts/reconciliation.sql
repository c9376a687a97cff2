-- reconciliation: each invoice of each source and month: the file, what landed of it, and where that went.
-- grain: x_source, billing_month, InvoiceId, BillingCurrency
-- column x_source: configured source of the bill
-- column billing_month: first day of the month that the invoice is for
-- column InvoiceId: invoice; null where the source names none
-- column BillingCurrency: currency of the costs
-- column charges: rows of the bill
-- column cost_column: the FOCUS column that is attributed, EffectiveCost or BilledCost
-- column file_cost: that column as the file has it, to its last decimal
-- column rounding: what the one rounding at landing took: file less landed
-- column landed_cost: that column in the lake
-- column ledger_cost: what the ledger hands out of it
-- column accrued_cost: the part of it for hours still to come
-- column difference: landed less ledger less accrued; 0.000000000000
-- column billed_cost: BilledCost as the file has it: what ties to the invoice
with charges as (
    select
        x_source,
        billing_month,
        InvoiceId,
        BillingCurrency,
        count(*) as charges,
        any_value(x_cost_column) as cost_column,
        sum(x_cost) as landed_cost,
        sum(
            case when x_cost_column = 'BilledCost' then x_BilledCostRounding else x_EffectiveCostRounding end
        ) as rounding,
        sum(cast(BilledCost as decimal(38, 24)) + x_BilledCostRounding) as billed_cost
    from charges
    group by all
),

totals as (
    select
        x_source,
        billing_month,
        InvoiceId,
        BillingCurrency,
        sum(accrued_cost) as accrued_cost
    from bill_totals
    group by all
),

ledger as (
    select
        day,
        pool,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    where not provisional
    group by all
),

bill as (
    select
        *,
        sum(cost) over (partition by day, pool, BillingCurrency) as pool_cost
    from pool_days
    where not provisional
),

spread as (
    select
        bill.x_source,
        bill.billing_month,
        bill.InvoiceId,
        bill.BillingCurrency,
        -- where the ledger of a pool and day is not what was billed, none of it counts as handed out
        sum(case when bill.pool_cost = coalesce(ledger.cost, 0) then bill.cost else 0 end) as ledger_cost
    from bill
    left join ledger
        on
            bill.day = ledger.day
            and bill.pool = ledger.pool
            and bill.BillingCurrency = ledger.BillingCurrency
    group by all
),

final as (
    select
        charges.x_source,
        charges.billing_month,
        charges.InvoiceId,
        charges.BillingCurrency,
        charges.charges,
        charges.cost_column,
        cast(charges.landed_cost as decimal(38, 24)) + charges.rounding as file_cost,
        charges.rounding,
        charges.landed_cost,
        coalesce(spread.ledger_cost, 0) as ledger_cost,
        coalesce(totals.accrued_cost, 0) as accrued_cost,
        charges.landed_cost - coalesce(spread.ledger_cost, 0) - coalesce(totals.accrued_cost, 0) as difference,
        charges.billed_cost
    from charges
    left join totals
        on
            charges.x_source = totals.x_source
            and charges.billing_month = totals.billing_month
            and charges.InvoiceId is not distinct from totals.InvoiceId
            and charges.BillingCurrency = totals.BillingCurrency
    left join spread
        on
            charges.x_source = spread.x_source
            and charges.billing_month = spread.billing_month
            and charges.InvoiceId is not distinct from spread.InvoiceId
            and charges.BillingCurrency = spread.BillingCurrency
)

select * from final
