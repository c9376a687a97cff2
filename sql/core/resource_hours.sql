-- resource_hours: what each billed resource of the GPU pools costs in each hour of the day.
-- grain: pool, resource, hour of the day (0 to 23), currency, provisional
with spans as (
    select * from charge_spans
),

build_day as (
    select * from settings.build_day
),

cut as (
    select
        spans.*,
        build_day.start_us as day_start_us,
        greatest(spans.start_us, build_day.start_us) as from_us,
        least(spans.end_us, build_day.end_us, build_day.horizon_us) as until_us
    from spans
    cross join build_day
    where
        spans.pool_kind in ('gpu', 'training')
        and spans.start_us < build_day.end_us
        and spans.end_us > build_day.start_us
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
