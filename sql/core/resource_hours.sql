-- resource_hours: what each billed resource of the GPU pools costs in each hour of the day.
-- grain: day, pool, resource, hour of the day (0 to 23), currency, provisional
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
        batch_days.start_us as day_start_us,
        greatest(spans.start_us, batch_days.start_us) as from_us,
        least(spans.end_us, batch_days.end_us, horizon.horizon_us) as until_us
    from spans
    inner join batch_days
        on
            spans.start_us < batch_days.end_us
            and spans.end_us > batch_days.start_us
    cross join horizon
    where spans.pool_kind in ('gpu', 'training')
),

pieces as (
    select
        *,
        unnest(range((from_us - day_start_us) // 3600000000, (until_us - day_start_us - 1) // 3600000000 + 1)) as hour
    from cut
    where until_us > from_us
),

final as (
    select
        day,
        pool,
        pool_kind,
        resource_id,
        hour,
        BillingCurrency,
        provisional,
        sum(
            pico * (least(day_start_us + (hour + 1) * 3600000000, until_us) - start_us) // (end_us - start_us)
            - pico * (greatest(day_start_us + hour * 3600000000, from_us) - start_us) // (end_us - start_us)
        ) as pico
    from pieces
    group by all
)

select * from final
