-- reporting_rates: what one unit of each currency of costs and revenue is worth in the reporting currency, day by day.
-- grain: day, currency
-- column day: day of a cost, or of an amount of revenue, UTC
-- column currency: its currency
-- column reporting_currency: `reporting_currency` of the configuration; without one this table is empty
-- column rate: units of the reporting currency for one of `currency`; null where no rate is known or the last is too old
-- column rate_day: day that the rate was published for: the last one not after `day`
-- column derivation: same (it is the reporting currency), direct, inverse (1 by the rate) or cross (of two rates of one day)
-- column through: base of the two rates of a cross
-- column rate_source: configured source of the rate, of a cross of both
-- column rate_file: file that it came from
-- Of the rates of one day a direct one comes before an inverse, and that before a cross; of crosses the first base by
-- name. A quotient is computed in integers of 10^-18 and rounded once, half up, to 18 decimals.
with reporting as (
    select * from reporting
),

needed as (
    select
        day,
        BillingCurrency as currency
    from cost_ledger
    union
    select
        period as day,
        currency
    from revenue
),

quotes as (
    select
        day,
        currency,
        base,
        rate_units(cast(rate as decimal(38, 18))) as units,
        x_source,
        x_load
    from exchange_rates
),

pairs as (
    select
        quotes.base as currency,
        quotes.day as rate_day,
        1 as preference,
        'direct' as derivation,
        cast(null as varchar) as through,
        quotes.units as above,
        cast(1000000000000000000 as hugeint) as below,
        quotes.x_source as rate_source,
        quotes.x_load as rate_file
    from quotes
    inner join reporting on quotes.currency = reporting.reporting_currency
    union all
    select
        quotes.currency,
        quotes.day as rate_day,
        2 as preference,
        'inverse' as derivation,
        cast(null as varchar) as through,
        cast(1000000000000000000 as hugeint) as above,
        quotes.units as below,
        quotes.x_source as rate_source,
        quotes.x_load as rate_file
    from quotes
    inner join reporting on quotes.base = reporting.reporting_currency
    union all
    select
        theirs.currency,
        theirs.day as rate_day,
        3 as preference,
        'cross' as derivation,
        theirs.base as through,
        ours.units as above,
        theirs.units as below,
        case
            when theirs.x_source = ours.x_source then theirs.x_source
            else theirs.x_source || ', ' || ours.x_source
        end as rate_source,
        case when theirs.x_load = ours.x_load then theirs.x_load else theirs.x_load || ', ' || ours.x_load end as rate_file
    from quotes as theirs
    inner join quotes as ours
        on
            theirs.day = ours.day
            and theirs.base = ours.base
    inner join reporting on ours.currency = reporting.reporting_currency
    where theirs.currency <> reporting.reporting_currency
),

asked as (
    select *
    from pairs
    where currency in (select currency from needed)
),

-- long division: the whole quotient in units of 10^-18 would leave 128 bits on the way
divided_to_nine as (
    select
        *,
        (above * 1000000000) // below as upper,
        (above * 1000000000) % below as rest
    from asked
),

divided as (
    select
        *,
        upper * 1000000000
        + (rest * 1000000000) // below
        + case when 2 * ((rest * 1000000000) % below) >= below then 1 else 0 end as rate_units
    from divided_to_nine
),

chosen as (
    select
        *,
        row_number() over (partition by currency, rate_day order by preference, through) as place
    from divided
    where rate_units between 10000000000 and cast(100000000000000000000000000 as hugeint)
),

published as (
    select
        *,
        lead(rate_day) over (partition by currency order by rate_day) as next_rate_day
    from chosen
    where place = 1
),

rated as (
    select
        needed.day,
        needed.currency,
        reporting.reporting_currency,
        case
            when needed.currency = reporting.reporting_currency then cast(1 as decimal(38, 18))
            else
                cast(
                    cast(published.rate_units // 1000000000000000000 as decimal(20, 0))
                    + cast(published.rate_units % 1000000000000000000 as decimal(18, 0))
                    * cast(0.000000000000000001 as decimal(18, 18))
                    as decimal(38, 18)
                )
        end as rate,
        case
            when needed.currency = reporting.reporting_currency then needed.day
            else published.rate_day
        end as rate_day,
        case
            when needed.currency = reporting.reporting_currency then 'same'
            else published.derivation
        end as derivation,
        published.through,
        published.rate_source,
        published.rate_file
    from needed
    cross join reporting
    left join published
        on
            needed.currency = published.currency
            and needed.currency <> reporting.reporting_currency
            and needed.day >= published.rate_day
            and needed.day < coalesce(published.next_rate_day, date '9999-12-31')
            and needed.day <= published.rate_day + cast(reporting.maximum_rate_age_days as integer)
),

final as (
    select
        day,
        currency,
        reporting_currency,
        rate,
        rate_day,
        derivation,
        through,
        rate_source,
        rate_file
    from rated
)

select * from final
