-- billed_spans: charges of one kind and period added up.
-- grain: pool, owner, source, month, invoice, currency, provider, resource (own GPUs only), period, is_usage and billed model
-- (APIs only)
with charges as (
    select * from bill_charges
),

final as (
    select
        pool,
        pool_kind,
        owner_team,
        x_source,
        billing_month,
        InvoiceId,
        BillingCurrency,
        provider,
        case when pool_kind in ('gpu', 'training') then resource_id end as resource_id,
        case when pool_kind = 'api' then is_usage end as is_usage,
        case when pool_kind = 'api' and is_usage then sku end as billed_model,
        start_us,
        end_us,
        count(*) as charges,
        sum(pico) as pico
    from charges
    group by all
)

select * from final
