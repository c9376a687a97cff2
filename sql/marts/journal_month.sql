-- journal_month: what is booked for each month: account, cost center, class.
-- grain: month, gl_account, cost_center, class, BillingCurrency
-- column month: first day of the month of the cost, UTC
-- column gl_account: account of the general ledger, `gl_account` of the pools; null: the pool names none
-- column cost_center: cost center of the team; null: none known
-- column class: cogs, rnd or opex; null for what no rule took
-- column BillingCurrency: currency of the amounts; those of different currencies are never added
-- column cost: amount; all rows add up to the ledger
-- column provisional_cost: the part of cost that no bill has confirmed yet: an accrual
with final as (
    select
        month,
        gl_account,
        cost_center,
        class,
        BillingCurrency,
        sum(cost) as cost,
        sum(provisional_cost) as provisional_cost
    from cost_center_month
    group by all
)

select * from final
