-- reporting_month: what each pool, team and customer cost in each month, in the bill's currency and in the reporting one.
-- grain: month, pool, team_id, customer_id, BillingCurrency
-- column month: first day of the month of the cost, UTC; without `reporting_currency` this table is empty
-- column pool: pool
-- column class: cogs, rnd or opex; null for what no rule took
-- column team_id: team of the user or owner; null: none known
-- column customer_id: customer that the requests were for; null: none known
-- column BillingCurrency: currency of cost, provisional_cost and unconverted_cost
-- column cost: as in the ledger
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column unconverted_cost: the part of cost on days without a rate; null: every day has one
-- column lowest_rate: the lowest rate that a day of it was converted by
-- column highest_rate: the highest
-- column first_rate_day: the earliest day that one of those rates was published for
-- column last_rate_day: the latest
-- column reporting_currency: currency of reporting_cost
-- column reporting_cost: each line of the ledger by the rate of its day, summed; null where a day has no rate
with lines as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        cost_ledger.pool,
        cost_ledger.team_id,
        cost_ledger.customer_id,
        cost_ledger.BillingCurrency,
        cost_ledger.cost,
        cost_ledger.provisional,
        rates.rate,
        rates.rate_day,
        rates.reporting_currency,
        converted(cost_ledger.cost, rates.rate) as reporting_cost
    from cost_ledger
    inner join reporting_rates as rates
        on
            cost_ledger.day = rates.day
            and cost_ledger.BillingCurrency = rates.currency
),

summed as (
    select
        month,
        pool,
        team_id,
        customer_id,
        BillingCurrency,
        sum(cost) as cost,
        sum(cost) filter (where provisional) as provisional_cost,
        sum(cost) filter (where rate is null) as unconverted_cost,
        min(rate) as lowest_rate,
        max(rate) as highest_rate,
        min(rate_day) as first_rate_day,
        max(rate_day) as last_rate_day,
        reporting_currency,
        case when count(*) = count(rate) then sum(reporting_cost) end as reporting_cost
    from lines
    group by all
),

final as (
    select
        summed.month,
        summed.pool,
        pools.class,
        summed.team_id,
        summed.customer_id,
        summed.BillingCurrency,
        summed.cost,
        summed.provisional_cost,
        summed.unconverted_cost,
        summed.lowest_rate,
        summed.highest_rate,
        summed.first_rate_day,
        summed.last_rate_day,
        summed.reporting_currency,
        summed.reporting_cost
    from summed
    left join pools on summed.pool = pools.pool
)

select * from final
