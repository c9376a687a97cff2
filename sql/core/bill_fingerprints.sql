-- bill_fingerprints: one number per day that changes when what is billed for that day changes.
-- grain: day
with spans as (
    select * from charge_spans
),

horizon as (
    select horizon_us from settings.build
),

pieces as (
    select
        unnest(range(start_us // 86400000000, (least(end_us, horizon_us) - 1) // 86400000000 + 1)) as day_number,
        hash(
            pool, owner_team, BillingCurrency, provider, resource_id, billed_model, start_us, end_us, provisional, pico
        ) as content
    from spans
    cross join horizon
    where least(end_us, horizon_us) > start_us
),

final as (
    select
        cast(make_timestamp(day_number * 86400000000) as date) as day,
        cast(sum(content) as varchar) as fingerprint
    from pieces
    group by all
)

select * from final
