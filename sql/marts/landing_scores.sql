-- landing_scores: how good issued landings were, for months that are over.
-- grain: issue_id, model, dimension, key, BillingCurrency, month
-- column issue_id: the run of the forecast
-- column as_of: last day of cost that it knew
-- column model: the model that forecast the series
-- column dimension: what the key is one of, as in `scope_days`
-- column key: the pool, team, model, ...; null: the total, or cost of none of them
-- column BillingCurrency: currency of the amounts
-- column month: first day of the month, which is over for three days, so that late bills are in
-- column days_ahead: days of the month that were not known yet
-- column actual: what the month came to
-- column forecast: what it was expected to come to
-- column within_80: whether it came to lie within the 80 % interval
-- column within_95: whether it came to lie within the 95 % interval
with landings as (
    select * from landings
),

costs as (
    select * from scope_days
),

months as (
    select
        dimension,
        key,
        BillingCurrency,
        cast(date_trunc('month', day) as date) as month,
        sum(cost) as cost
    from costs
    group by all
),

due as (
    select
        landings.*,
        least(date_diff('day', landings.as_of, last_day(landings.month)), day(last_day(landings.month))) as days_ahead
    from landings
    where last_day(landings.month) <= (select max(day) from costs) - 3
),

compared as (
    select
        due.*,
        -- A scope without a row in a month of the ledger cost nothing.
        coalesce(months.cost, 0) as came_to
    from due
    left join months
        on
            due.dimension = months.dimension
            and due.key is not distinct from months.key
            and due.BillingCurrency = months.BillingCurrency
            and due.month = months.month
),

final as (
    select
        issue_id,
        as_of,
        model,
        dimension,
        key,
        BillingCurrency,
        month,
        days_ahead,
        came_to as actual,
        forecast,
        came_to between q10 and q90 as within_80,
        came_to between q025 and q975 as within_95
    from compared
)

select * from final
