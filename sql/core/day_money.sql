-- day_money: what each pool costs on the day that is built.
-- grain: pool, owner, currency, provisional
with spans as (
    select * from charge_spans
),

build_day as (
    select * from settings.build_day
),

cut as (
    select
        spans.*,
        greatest(spans.start_us, build_day.start_us) as from_us,
        least(spans.end_us, build_day.end_us) as until_us,
        -- the ledger of an open day ends at the horizon
        least(spans.end_us, build_day.end_us, build_day.horizon_us) as built_until_us
    from spans
    cross join build_day
    where
        spans.start_us < build_day.end_us
        and spans.end_us > build_day.start_us
),

final as (
    select
        pool,
        pool_kind,
        owner_team,
        BillingCurrency,
        provisional,
        sum(
            pico * (built_until_us - start_us) // (end_us - start_us) - pico * (from_us - start_us) // (end_us - start_us)
        ) as pico
    from cut
    where built_until_us > from_us
    group by all
)

select * from final
