-- day_money: what each pool costs on each day of the batch.
-- grain: day, pool, owner, currency, provisional
with spans as (
    select * from charge_spans
),

batch_days as (
    select * from settings.batch_days
),

horizon as (
    select horizon_us from settings.build
),

cut as (
    select
        batch_days.day,
        spans.*,
        greatest(spans.start_us, batch_days.start_us) as from_us,
        least(spans.end_us, batch_days.end_us) as until_us,
        -- the ledger of an open day ends at the horizon
        least(spans.end_us, batch_days.end_us, horizon.horizon_us) as built_until_us
    from spans
    inner join batch_days
        on
            spans.start_us < batch_days.end_us
            and spans.end_us > batch_days.start_us
    cross join horizon
),

final as (
    select
        day,
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
