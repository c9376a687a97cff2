-- forecast_scores: how good issued forecasts were on days that are over, against repeating the last such weekday.
-- grain: issue_id, model, dimension, key, BillingCurrency, ahead
-- column issue_id: the run of the forecast
-- column as_of: last day of cost that it knew
-- column model: the model that forecast the series
-- column dimension: what the key is one of, as in `scope_days`
-- column key: the pool, team, model, ...; null: the total, or cost of none of them
-- column BillingCurrency: currency of the amounts
-- column ahead: how many days after as_of: 1-7, 8-30, 31-90 or later
-- column days: days that are over for three days, so that late bills are in
-- column actual: what they cost
-- column forecast: what they were expected to cost
-- column absolute_error: sum of the daily distances between both
-- column naive_error: the same sum of a forecast that repeats the last such weekday up to as_of
-- column within_80: days whose cost was within the 80 % interval
-- column within_95: days whose cost was within the 95 % interval
with forecasts as (
    select * from forecasts
),

costs as (
    select * from scope_days
),

ledger_days as (
    select distinct day from costs
),

settled as (
    select day from ledger_days where day <= (select max(day) from ledger_days) - 3
),

due as (
    select
        forecasts.*,
        cast(
            forecasts.day - cast(7 * ceil(date_diff('day', forecasts.as_of, forecasts.day) / 7.0) as integer) as date
        ) as day_before,
        case
            when date_diff('day', forecasts.as_of, forecasts.day) <= 7 then '1-7'
            when date_diff('day', forecasts.as_of, forecasts.day) <= 30 then '8-30'
            when date_diff('day', forecasts.as_of, forecasts.day) <= 90 then '31-90'
            else 'later'
        end as ahead
    from forecasts
    inner join settled on forecasts.day = settled.day
),

compared as (
    select
        due.*,
        -- On a day of the ledger a scope without a row cost nothing.
        coalesce(came.cost, 0) as actual,
        coalesce(earlier.cost, 0) as naive
    from due
    left join costs as came
        on
            due.dimension = came.dimension
            and due.key is not distinct from came.key
            and due.BillingCurrency = came.BillingCurrency
            and due.day = came.day
    left join costs as earlier
        on
            due.dimension = earlier.dimension
            and due.key is not distinct from earlier.key
            and due.BillingCurrency = earlier.BillingCurrency
            and due.day_before = earlier.day
),

final as (
    select
        issue_id,
        as_of,
        model,
        dimension,
        key,
        BillingCurrency,
        ahead,
        count(*) as days,
        sum(actual) as actual,
        sum(forecast) as forecast,
        sum(abs(actual - forecast)) as absolute_error,
        sum(abs(actual - naive)) as naive_error,
        count(*) filter (where actual between q10 and q90) as within_80,
        count(*) filter (where actual between q025 and q975) as within_95
    from compared
    group by issue_id, as_of, model, dimension, key, BillingCurrency, ahead
)

select * from final
