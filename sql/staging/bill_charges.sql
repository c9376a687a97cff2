-- bill_charges: every charge with its pool, its period in microseconds and the cost that is attributed, in pico-units.
-- grain: one charge
-- materialized: view
with charges as (
    select * from settings.charges
),

sources as (
    select * from settings.sources
),

pools as (
    select * from settings.pools
),

final as (
    select
        charges.x_charge_id,
        charges.x_source,
        charges.billing_month,
        charges.InvoiceId,
        charges.BillingCurrency,
        charges.pool,
        coalesce(pools.kind, 'unassigned') as pool_kind,
        charges.owner_team,
        coalesce(charges.ServiceProviderName, charges.ProviderName) as provider,
        -- Azure lower-cases resource ids in some columns and not in others
        lower(charges.ResourceId) as resource_id,
        coalesce(charges.ChargeCategory, 'Usage') = 'Usage' as is_usage,
        charges.SkuId as sku,
        epoch_us(charges.ChargePeriodStart) as start_us,
        -- a charge without duration falls into the microsecond that it is dated with
        greatest(epoch_us(charges.ChargePeriodEnd), epoch_us(charges.ChargePeriodStart) + 1) as end_us,
        cast(
            case when sources.cost_column = 'BilledCost' then charges.BilledCost else charges.EffectiveCost end
            * 1000000000000 as hugeint
        ) as pico
    from charges
    left join sources on charges.x_source = sources.x_source
    left join pools on charges.pool = pools.pool
)

select * from final
