-- bill_totals: what each invoice came to, and how much of it is still to come.
-- grain: source, month, invoice, currency, pool
with spans as (
    select * from charge_spans
),

horizon as (
    select horizon_us from settings.build
),

final as (
    select
        spans.x_source,
        spans.billing_month,
        spans.InvoiceId,
        spans.BillingCurrency,
        spans.pool,
        sum(spans.charges) as charges,
        sum(spans.pico) as pico,
        sum(
            spans.pico
            - spans.pico
            * (least(greatest(horizon.horizon_us, spans.start_us), spans.end_us) - spans.start_us)
            // (spans.end_us - spans.start_us)
        ) as accrued_pico
    from spans
    cross join horizon
    where not spans.provisional
    group by all
)

select * from final
