-- gpu_rate: what an hour of a GPU effectively cost, and what it cost above the cheapest contract.
-- grain: day, provider, gpu_model, pricing_category, commitment, BillingCurrency
-- column day: day of the cost, UTC
-- column provider: who sold the hours
-- column gpu_model: model of the GPUs, from the inventory
-- column pricing_category: Standard, Committed, Dynamic or Other, as the bill says; null: it says none
-- column commitment: CommitmentDiscountId that covered it; null: none
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column gpu_hours: hours of GPUs; however many charges stand on a resource, each of its hours counts once in a currency
-- column cost: what was billed for them, in the column that is attributed, with the credits and taxes on them
-- column rate: cost of one hour; null where no hour was billed
-- column list_cost: what the hours would have cost at on-demand list prices; null where one of them has no price
-- column list_rate: list_cost of one hour
-- column discount: part of list_cost that was not paid; below 0 where more was; null where nothing is to compare
-- column cheapest_contracted_rate: lowest rate of a commitment for the same model, day and currency; null: there was none
-- column premium: cost less gpu_hours at that rate: what it costs that not all is contracted so
-- A charge is spread over its days by time as in the ledger, up to the build's horizon, so a year's commitment has a rate
-- each day. Usage and purchases carry hours; of several for one time the one that began first has them, then the longest.
-- What has no hours of its own (credits, taxes, adjustments, further SKUs) is shared by those of its resource and day, by
-- their hours; where there are none that day it stays a cost without hours. Not here: resources that had no GPU in the
-- inventory that day, or GPUs of two models, as neither has a rate of its own.
with billed as (
    select
        charges.x_source,
        charges.x_charge_id,
        lower(charges.ResourceId) as resource_id,
        coalesce(charges.ServiceProviderName, charges.ProviderName) as provider,
        charges.PricingCategory as pricing_category,
        charges.CommitmentDiscountId as commitment,
        charges.BillingCurrency,
        coalesce(charges.ChargeCategory, 'Usage') in ('Usage', 'Purchase')
        and charges.ChargePeriodEnd > charges.ChargePeriodStart as has_hours,
        epoch_us(charges.ChargePeriodStart) as start_us,
        greatest(epoch_us(charges.ChargePeriodEnd), epoch_us(charges.ChargePeriodStart) + 1) as end_us,
        epoch_us(build_info.horizon) as horizon_us,
        cast(charges.x_cost * 1000000000000 as hugeint) as pico
    from charges
    cross join build_info
    where
        charges.pool_kind in ('gpu', 'training')
        and charges.ResourceId is not null
),

days as (
    select
        *,
        unnest(range(start_us // 86400000000, (least(end_us, horizon_us) - 1) // 86400000000 + 1)) as day_number
    from billed
    where horizon_us > start_us
),

cut as (
    select
        *,
        greatest(start_us, day_number * 86400000000) as from_us,
        least(end_us, horizon_us, (day_number + 1) * 86400000000) as to_us
    from days
),

pieces as (
    select
        * exclude (pico),
        pico * (to_us - start_us) // (end_us - start_us) - pico * (from_us - start_us) // (end_us - start_us) as pico,
        -- the time that no charge before it had
        greatest(
            from_us,
            coalesce(
                max(case when has_hours then to_us end) over (
                    partition by day_number, resource_id, BillingCurrency
                    order by start_us, end_us desc, x_source, x_charge_id
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as new_from_us
    from cut
),

-- instances and shares of a GPU, whenever they were made, are one GPU
known as (
    select
        lower(ResourceId) as resource_id,
        coalesce(parent_gpu_uuid, gpu_uuid) as physical_gpu,
        gpu_model,
        epoch_us(valid_from) as from_us,
        coalesce(epoch_us(valid_to), 9000000000000000) as to_us
    from gpu_inventory
),

gpus as (
    select
        resource_id,
        gpu_model,
        greatest(
            from_us,
            coalesce(
                max(to_us) over (
                    partition by resource_id, physical_gpu
                    order by from_us, to_us
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as from_us,
        to_us
    from known
),

resource_days as (
    select
        days.day_number,
        days.resource_id,
        min(gpus.gpu_model) as gpu_model
    from (select distinct day_number, resource_id from cut) as days
    inner join gpus
        on
            days.resource_id = gpus.resource_id
            and gpus.from_us < (days.day_number + 1) * 86400000000
            and gpus.to_us > days.day_number * 86400000000
            and gpus.to_us > gpus.from_us
    group by all
    having count(distinct coalesce(gpus.gpu_model, '')) = 1
),

placed as (
    select
        pieces.x_source,
        pieces.x_charge_id,
        pieces.day_number,
        pieces.resource_id,
        resource_days.gpu_model,
        pieces.provider,
        pieces.pricing_category,
        pieces.commitment,
        pieces.BillingCurrency,
        pieces.pico,
        coalesce(
            sum(least(pieces.to_us, gpus.to_us) - greatest(pieces.new_from_us, gpus.from_us))
            filter (where gpus.resource_id is not null),
            0
        ) as gpu_us
    from pieces
    inner join resource_days
        on
            pieces.day_number = resource_days.day_number
            and pieces.resource_id = resource_days.resource_id
    left join gpus
        on
            pieces.has_hours
            and pieces.resource_id = gpus.resource_id
            and gpus.from_us < pieces.to_us
            and gpus.to_us > pieces.new_from_us
            and gpus.to_us > gpus.from_us
            and pieces.to_us > pieces.new_from_us
    group by all
),

-- what has no hours falls to those of its resource and day that have some
beside as (
    select
        *,
        sum(gpu_us) over (partition by day_number, resource_id, BillingCurrency) as all_gpu_us
    from placed
),

owned as (
    select
        * exclude (x_source, x_charge_id, pico, gpu_us),
        coalesce(sum(pico) filter (where gpu_us > 0 or all_gpu_us = 0), 0) as own_pico,
        sum(gpu_us) as gpu_us
    from beside
    group by all
    having sum(gpu_us) > 0 or all_gpu_us = 0
),

shared as (
    select
        day_number,
        resource_id,
        BillingCurrency,
        sum(pico) as pico
    from beside
    where
        gpu_us = 0
        and all_gpu_us > 0
    group by all
),

running as (
    select
        owned.*,
        coalesce(shared.pico, 0) as shared_pico,
        sum(owned.gpu_us) over (
            partition by owned.day_number, owned.resource_id, owned.BillingCurrency
            order by owned.provider, owned.pricing_category, owned.commitment
            rows between unbounded preceding and current row
        ) as until_gpu_us
    from owned
    left join shared
        on
            owned.day_number = shared.day_number
            and owned.resource_id = shared.resource_id
            and owned.BillingCurrency = shared.BillingCurrency
),

listed as (
    select
        epoch_us(cast(day as timestamp)) // 86400000000 as day_number,
        ResourceId as resource_id,
        BillingCurrency,
        cast(list_rate * 1000000000000 as hugeint) as hour_pico
    from gpu_list_price
),

summed as (
    select
        cast(make_timestamp(running.day_number * 86400000000) as date) as day,
        running.provider,
        running.gpu_model,
        running.pricing_category,
        running.commitment,
        running.BillingCurrency,
        cast(sum(running.gpu_us) as hugeint) as gpu_us,
        cast(
            sum(
                running.own_pico
                + case
                    when running.all_gpu_us > 0
                        then
                            cast(running.shared_pico as hugeint) * cast(running.until_gpu_us as hugeint)
                            // cast(running.all_gpu_us as hugeint)
                            - cast(running.shared_pico as hugeint)
                            * cast(running.until_gpu_us - running.gpu_us as hugeint)
                            // cast(running.all_gpu_us as hugeint)
                    else 0
                end
            ) as hugeint
        ) as pico,
        case
            when count(*) filter (where running.gpu_us > 0 and listed.hour_pico is null) = 0
                then
                    cast(
                        sum(listed.hour_pico * cast(running.gpu_us as hugeint) // 3600000000)
                        filter (where running.gpu_us > 0)
                        as hugeint
                    )
        end as list_pico
    from running
    left join listed
        on
            running.day_number = listed.day_number
            and running.resource_id = listed.resource_id
            and running.BillingCurrency = listed.BillingCurrency
    group by all
),

rated as (
    select
        *,
        pico * 3600000000 // nullif(gpu_us, 0) as rate_pico
    from summed
),

contracted as (
    select
        *,
        min(rate_pico) filter (where pricing_category = 'Committed') over (
            partition by day, gpu_model, BillingCurrency
        ) as cheapest_rate_pico
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
        money(pico) as cost,
        money(rate_pico) as rate,
        money(list_pico) as list_cost,
        money(list_pico * 3600000000 // nullif(gpu_us, 0)) as list_rate,
        1 - cast(pico as double) / nullif(cast(list_pico as double), 0) as discount,
        money(cheapest_rate_pico) as cheapest_contracted_rate,
        money(pico - cheapest_rate_pico * gpu_us // 3600000000) as premium
    from contracted
)

select * from final
