-- gpu_rate: what an hour of a GPU effectively cost, and what it cost above the cheapest contract.
-- grain: day, provider, gpu_model, pricing_category, commitment, BillingCurrency
-- Charges longer than a day are not in it: they have no rate of a day.
-- column day: day of the charges, UTC
-- column provider: who sold it
-- column gpu_model: model of the GPUs, from the inventory
-- column pricing_category: Standard, Committed, Dynamic or Other, as the bill says; null: it says none
-- column commitment: CommitmentDiscountId that covered it; null: none
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column gpu_hours: hours of GPUs; what several lines of a bill charge for one resource and time counts once
-- column cost: what was billed for them, in the column that is attributed
-- column rate: cost of one hour
-- column cheapest_contracted_rate: lowest rate of a commitment for the same model, day and currency; null: there was none
-- column premium: cost less gpu_hours at that rate: what it costs that not all is contracted so
with billed as (
    select
        charges.x_charge_id,
        cast(date_trunc('day', charges.ChargePeriodStart) as date) as day,
        coalesce(charges.ServiceProviderName, charges.ProviderName) as provider,
        lower(charges.ResourceId) as resource_id,
        charges.PricingCategory as pricing_category,
        charges.CommitmentDiscountId as commitment,
        charges.BillingCurrency,
        epoch_us(charges.ChargePeriodStart) as from_us,
        epoch_us(charges.ChargePeriodEnd) as to_us,
        charges.x_cost
    from charges
    where
        charges.pool_kind in ('gpu', 'training')
        and charges.ResourceId is not null
        -- a rate of a day needs charges of a day or less
        and charges.ChargePeriodEnd > charges.ChargePeriodStart
        and charges.ChargePeriodEnd <= charges.ChargePeriodStart + interval 1 day
),

-- several lines for one resource and time: its hours count once
periods as (
    select
        *,
        greatest(
            from_us,
            coalesce(
                max(to_us) over (
                    partition by day, provider, resource_id, pricing_category, commitment, BillingCurrency
                    order by from_us, to_us, x_charge_id
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as new_from_us
    from billed
),

gpus as (
    select distinct
        lower(ResourceId) as resource_id,
        coalesce(parent_gpu_uuid, gpu_uuid) as physical_gpu,
        gpu_model,
        epoch_us(valid_from) as from_us,
        coalesce(epoch_us(valid_to), 9000000000000000) as to_us
    from gpu_inventory
),

placed as (
    select
        periods.*,
        gpus.gpu_model,
        count(distinct gpus.physical_gpu) as gpus
    from periods
    inner join gpus
        on
            periods.resource_id = gpus.resource_id
            and periods.from_us >= gpus.from_us
            and periods.from_us < gpus.to_us
    group by all
),

-- a resource with GPUs of two models has no rate of its own for either
of_one_model as (
    select *
    from placed
    qualify count(*) over (partition by x_charge_id) = 1
),

summed as (
    select
        day,
        provider,
        gpu_model,
        pricing_category,
        commitment,
        BillingCurrency,
        cast(sum(greatest(to_us - new_from_us, 0) * gpus) as hugeint) as gpu_us,
        cast(sum(x_cost) as decimal(38, 12)) as cost
    from of_one_model
    group by all
),

rated as (
    select
        *,
        money(cast(cost * 1000000000000 as hugeint) * 3600000000 // gpu_us) as rate
    from summed
    where gpu_us > 0
),

contracted as (
    select
        *,
        min(rate) filter (where pricing_category = 'Committed') over (
            partition by day, gpu_model, BillingCurrency
        ) as cheapest_contracted_rate
    from rated
),

final as (
    select
        day,
        provider,
        gpu_model,
        pricing_category,
        commitment,
        BillingCurrency,
        cast(gpu_us as double) / 3600000000 as gpu_hours,
        cost,
        rate,
        cheapest_contracted_rate,
        cost - money(
            cast(cheapest_contracted_rate * 1000000000000 as hugeint) * gpu_us // 3600000000
        ) as premium
    from contracted
)

select * from final
