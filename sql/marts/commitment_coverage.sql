-- commitment_coverage: how much of what could be committed to is, by provider and kind of service.
-- grain: month, provider, service_category, BillingCurrency
-- column month: first day of the billing month
-- column provider: who sold it
-- column service_category: ServiceCategory of the use
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column committed_cost: amortised cost of use under a commitment
-- column standard_cost: amortised cost of use at the standard price
-- column dynamic_cost: amortised cost of use at a moving price, such as spot
-- column coverage: committed of committed and standard cost; spot is neither; null where both are 0
with usage as (
    select
        billing_month as month,
        coalesce(ServiceProviderName, ProviderName) as provider,
        ServiceCategory as service_category,
        BillingCurrency,
        PricingCategory,
        EffectiveCost
    from charges
    where
        ChargeCategory = 'Usage'
        and coalesce(CommitmentDiscountStatus, 'Used') = 'Used'
),

summed as (
    select
        month,
        provider,
        service_category,
        BillingCurrency,
        coalesce(sum(EffectiveCost) filter (where PricingCategory = 'Committed'), 0) as committed_cost,
        coalesce(sum(EffectiveCost) filter (where PricingCategory = 'Standard'), 0) as standard_cost,
        coalesce(sum(EffectiveCost) filter (where PricingCategory = 'Dynamic'), 0) as dynamic_cost
    from usage
    group by all
),

shared as (
    select
        *,
        committed_cost as committed,
        committed_cost + standard_cost as whole,
        case when whole <> 0 then cast(committed as double) / cast(whole as double) end as coverage
    from summed
),

final as (
    select
        month,
        provider,
        service_category,
        BillingCurrency,
        committed_cost,
        standard_cost,
        dynamic_cost,
        coverage
    from shared
)

select * from final
