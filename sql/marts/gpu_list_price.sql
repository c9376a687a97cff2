-- gpu_list_price: the on-demand list price of an hour of a GPU, beside what each resource was billed in.
-- grain: day, ResourceId, BillingCurrency
-- column day: day, UTC
-- column ResourceId: the billed resource, lower case
-- column BillingCurrency: currency that it was billed in; a price in another one is not converted
-- column provider: who sells it, by the inventory, else by the bill
-- column region: region that it is in, by the inventory, else by the bill
-- column instance_type: its size, by the inventory, else by the bill
-- column gpus: how many GPUs the inventory knows of it on that day
-- column list_rate: list price of an hour of one of them in that currency; null: not known, and remark says why
-- column valid_from: since when the price holds
-- column x_source: source of kind gpu_prices that has it
-- column origin: where that source has it from
-- column remark: why there is no price; null where there is one
-- A price counts on the days of its validity alone: a gap has none, and the nearest price is not taken. A resource that has
-- another number of GPUs in the inventory than the price is for has none, as a GPU's share of it is not known.
with resources as (
    select distinct
        day,
        lower(ResourceId) as resource_id,
        BillingCurrency
    from gpu_days
    where
        ResourceId is not null
        and exists (select 1 from gpu_prices)
),

inventory as (
    select
        lower(ResourceId) as resource_id,
        coalesce(parent_gpu_uuid, gpu_uuid) as physical_gpu,
        provider,
        region,
        instance_type,
        valid_from,
        coalesce(valid_to, timestamp 'infinity') as valid_to
    from gpu_inventory
),

told as (
    select
        resources.day,
        resources.resource_id,
        resources.BillingCurrency,
        count(distinct inventory.physical_gpu) as gpus,
        case when count(distinct inventory.provider) = 1 then min(inventory.provider) end as provider,
        case when count(distinct inventory.region) = 1 then min(inventory.region) end as region,
        case when count(distinct inventory.instance_type) = 1 then min(inventory.instance_type) end as instance_type
    from resources
    inner join inventory
        on
            resources.resource_id = inventory.resource_id
            and inventory.valid_from < resources.day + 1
            and inventory.valid_to > resources.day
    group by all
),

-- a bill says the size in a property of the SKU; AWS and Google in columns of their own
billed as (
    select
        lower(ResourceId) as resource_id,
        coalesce(ServiceProviderName, ProviderName) as provider,
        RegionId as region,
        coalesce(
            case when json_valid(SkuPriceDetails) then json_extract_string(SkuPriceDetails, '$.InstanceType') end,
            case
                when json_valid(x_extra)
                    then coalesce(
                        json_extract_string(x_extra, '$."product/instanceType"'),
                        json_extract_string(x_extra, '$."product_instance_type"'),
                        json_extract_string(x_extra, '$."x_MachineSpec"')
                    )
            end
        ) as instance_type,
        min(ChargePeriodStart) as started_at,
        max(ChargePeriodEnd) as ended_at
    from charges
    where
        pool_kind in ('gpu', 'training')
        and ResourceId is not null
        and exists (select 1 from gpu_prices)
    group by all
),

of_bill as (
    select
        resources.day,
        resources.resource_id,
        resources.BillingCurrency,
        case when count(distinct billed.provider) = 1 then min(billed.provider) end as provider,
        case when count(distinct billed.region) = 1 then min(billed.region) end as region,
        case when count(distinct billed.instance_type) = 1 then min(billed.instance_type) end as instance_type
    from resources
    inner join billed
        on
            resources.resource_id = billed.resource_id
            and billed.started_at < resources.day + 1
            and billed.ended_at > resources.day
    group by all
),

sized as (
    select
        told.day,
        told.resource_id,
        told.BillingCurrency,
        told.gpus,
        coalesce(told.provider, of_bill.provider) as provider,
        coalesce(told.region, of_bill.region) as region,
        coalesce(told.instance_type, of_bill.instance_type) as instance_type
    from told
    left join of_bill
        on
            told.day = of_bill.day
            and told.resource_id = of_bill.resource_id
            and told.BillingCurrency = of_bill.BillingCurrency
),

-- bills name a provider as it likes to be called; prices have its normal name (collectors/providers.py)
named as (
    select
        *,
        case
            when regexp_matches(provider, '(?i)^\s*(aws|amazon)\b') then 'aws'
            when regexp_matches(provider, '(?i)^\s*(google|gcp)\b') then 'google cloud'
            when regexp_matches(provider, '(?i)^\s*(microsoft|azure)\b') then 'microsoft'
            else lower(provider)
        end as seller,
        lower(replace(region, ' ', '')) as place,
        regexp_replace(lower(instance_type), '^standard_', '') as instance
    from sized
),

-- the price of the region goes before one of all regions, one in the currency of the bill before others
offered as (
    select
        named.*,
        prices.currency,
        prices.gpus as gpus_of_price,
        prices.price_per_gpu_hour,
        prices.valid_from,
        prices.x_source,
        prices.origin
    from named
    left join list_prices as prices
        on
            named.seller = prices.provider
            and named.instance = prices.instance
            and (prices.region is null or named.place = prices.region)
            and prices.valid_from <= named.day
            and coalesce(prices.valid_to > named.day, true)
    qualify
        row_number() over (
            partition by named.day, named.resource_id, named.BillingCurrency
            order by
                prices.currency is distinct from named.BillingCurrency, prices.region is null, prices.currency
        ) = 1
),

judged as (
    select
        *,
        case
            when instance_type is null then 'neither inventory nor bill says the instance type'
            when currency is null then 'no list price of ' || instance_type || coalesce(' in ' || region, '') || ' on this day'
            when currency <> BillingCurrency then 'the list price is in ' || currency
            when price_per_gpu_hour is null and gpus_of_price is null
                then 'the price does not say how many GPUs it is for'
            when price_per_gpu_hour is null then 'there are two list prices for this day'
            when gpus_of_price <> gpus
                then 'the inventory has ' || gpus || ' GPUs of it and the price is for ' || gpus_of_price
        end as remark
    from offered
),

final as (
    select
        day,
        resource_id as ResourceId,
        BillingCurrency,
        provider,
        region,
        instance_type,
        gpus,
        case when remark is null then price_per_gpu_hour end as list_rate,
        case when remark is null then valid_from end as valid_from,
        case when remark is null then x_source end as x_source,
        case when remark is null then origin end as origin,
        remark
    from judged
)

select * from final
