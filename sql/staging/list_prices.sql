-- list_prices: on-demand list prices of whole instances, by GPU and hour, and the days on which each counts.
-- grain: provider, region (null: all), instance (lower case, without Standard_), currency, valid_from
-- A price counts until the next of its kind begins, at the longest up to its own end; a gap has no price. Where two
-- SKUs of an instance begin on one day with different prices, nobody knows which it is: hour_pico is null.
with prices as (
    select
        *,
        cast(cast(price_per_instance_hour as decimal(38, 12)) * 1000000000000 as hugeint) // gpus as share_pico,
        cast(cast(price_per_gpu_hour as decimal(38, 12)) * 1000000000000 as hugeint) as gpu_pico
    from lake.gpu_prices
    where
        pricing_category = 'on-demand'
        and covers = 'instance'
        and instance_type is not null
),

starting as (
    select
        lower(provider) as provider,
        lower(replace(region, ' ', '')) as region,
        regexp_replace(lower(instance_type), '^standard_', '') as instance,
        currency,
        valid_from,
        max(gpus) as gpus,
        case
            when min(coalesce(share_pico, gpu_pico)) = max(coalesce(share_pico, gpu_pico))
                then min(coalesce(share_pico, gpu_pico))
        end as hour_pico,
        case when count(valid_to) = count(*) then max(valid_to) end as stated_valid_to,
        min(x_source) as x_source,
        min(x_load) as x_load,
        min(origin) as origin
    from prices
    group by all
),

final as (
    select
        * exclude (stated_valid_to),
        least(
            stated_valid_to,
            lead(valid_from) over (partition by provider, region, instance, currency order by valid_from)
        ) as valid_to
    from starting
)

select * from final
