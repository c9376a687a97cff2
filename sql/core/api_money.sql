-- api_money: what vendor model APIs cost on each day of the batch, by the model that the bill names.
-- grain: day, pool, currency, provisional, billed_as (null: no model that anybody knows)
-- Each span is cut as in day_money, so the parts of a pool add up to its money.
with spans as (
    select * from charge_spans
    where pool_kind = 'api'
),

batch_days as (
    select * from settings.batch_days
),

horizon as (
    select horizon_us from settings.build
),

names as (
    select * from settings.vendor_names
),

cut as (
    select
        batch_days.day,
        spans.*,
        greatest(spans.start_us, batch_days.start_us) as from_us,
        least(spans.end_us, batch_days.end_us, horizon.horizon_us) as until_us
    from spans
    inner join batch_days
        on
            spans.start_us < batch_days.end_us
            and spans.end_us > batch_days.start_us
    cross join horizon
),

final as (
    select
        cut.day,
        cut.pool,
        cut.BillingCurrency,
        cut.provisional,
        names.billed_as,
        min(names.model) as model,
        sum(
            cut.pico * (cut.until_us - cut.start_us) // (cut.end_us - cut.start_us)
            - cut.pico * (cut.from_us - cut.start_us) // (cut.end_us - cut.start_us)
        ) as pico
    from cut
    left join names
        on
            cut.provider is not distinct from names.provider
            and cut.billed_model = names.model
    where cut.until_us > cut.from_us
    group by all
)

select * from final
