-- pool_days: what each pool costs on each day, by the bill it stands on; the figure that the ledger must equal.
-- grain: day, pool, source, month, invoice, currency, provisional
-- A span is spread evenly over its period: up to a moment t it has cost pico * (t - start) div length, so days telescope
-- to the whole. Nothing after the horizon (the hours still to come) is spread.
with spans as (
    select * from charge_spans
),

horizon as (
    select horizon_us from settings.build
),

cut as (
    select
        spans.*,
        least(spans.end_us, horizon.horizon_us) as until_us
    from spans
    cross join horizon
),

pieces as (
    select
        *,
        unnest(range(start_us // 86400000000, (until_us - 1) // 86400000000 + 1)) as day_number
    from cut
    where until_us > start_us
),

final as (
    select
        cast(make_timestamp(day_number * 86400000000) as date) as day,
        pool,
        pool_kind,
        x_source,
        billing_month,
        InvoiceId,
        BillingCurrency,
        provisional,
        sum(
            pico * (least((day_number + 1) * 86400000000, until_us) - start_us) // (end_us - start_us)
            - pico * (greatest(day_number * 86400000000, start_us) - start_us) // (end_us - start_us)
        ) as pico
    from pieces
    group by all
)

select * from final
