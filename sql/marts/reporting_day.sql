-- reporting_day: the cost of each day and pool beside what it is in the reporting currency, with the rate of the day.
-- grain: day, pool, BillingCurrency
-- column day: day of the cost, UTC; without `reporting_currency` in the configuration this table is empty
-- column pool: pool
-- column BillingCurrency: currency of cost and provisional_cost
-- column cost: as in the ledger
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column reporting_currency: currency of reporting_cost
-- column rate: units of the reporting currency for one of BillingCurrency; null where none is known
-- column rate_day: day that the rate was published for
-- column reporting_cost: the lines of the ledger by the rate, each rounded once to 12 decimals, summed; null without a rate
with rates as (
    select * from reporting_rates
),

final as (
    select
        cost_ledger.day,
        cost_ledger.pool,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) as cost,
        sum(cost_ledger.cost) filter (where cost_ledger.provisional) as provisional_cost,
        rates.reporting_currency,
        rates.rate,
        rates.rate_day,
        sum(converted(cost_ledger.cost, rates.rate)) as reporting_cost
    from cost_ledger
    inner join rates
        on
            cost_ledger.day = rates.day
            and cost_ledger.BillingCurrency = rates.currency
    group by all
)

select * from final
