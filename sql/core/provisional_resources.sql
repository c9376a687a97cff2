-- provisional_resources: what resources of the inventory cost after the end of their bill, by day: the rate of their last
-- billed day, else the configured price of their GPUs, else the on-demand list price of their instance.
-- grain: resource, start, basis, description
-- The bill of a provider speaks for its pool up to the end of its last charge of a day or less. Only after that is a known resource taken
-- to go on; one whose own last charge ended more than a week before is not. All of it ends with the inventory, and with
-- the last hour that requests or telemetry speak of: a bill of last year says nothing about today.
with spans as (
    select * from billed_spans
    where resource_id is not null
),

known as (
    select * from known_stretches
    where physical_gpu is null
),

build as (
    select * from settings.build
),

prices as (
    select * from settings.gpu_prices
),

lists as (
    select * from list_prices
),

-- the pool that the rules would put a charge of the resource in
unbilled as (
    select
        resource_id,
        min(pool) as pool
    from settings.unbilled_resources
    group by all
    having count(distinct pool) = 1
),

pools as (
    select * from settings.pools
),

bill_ends as (
    select
        x_source,
        provider,
        pool,
        max(end_us) as until_us
    from spans
    where end_us - start_us <= 86400000000
    group by all
),

newest as (
    select
        x_source,
        pool,
        pool_kind,
        BillingCurrency,
        provider,
        resource_id,
        end_us as until_us
    from spans
    qualify
        row_number() over (
            partition by resource_id
            order by end_us desc, start_us desc, pool, BillingCurrency, provider, x_source
        ) = 1
),

last_day as (
    select
        newest.resource_id,
        greatest(spans.start_us, newest.until_us - 86400000000) as from_us,
        spans.end_us as until_us,
        spans.pico - spans.pico
        * (greatest(spans.start_us, newest.until_us - 86400000000) - spans.start_us)
        // (spans.end_us - spans.start_us) as pico
    from newest
    inner join spans
        on
            newest.resource_id = spans.resource_id
            and newest.pool = spans.pool
            and newest.BillingCurrency = spans.BillingCurrency
            and newest.until_us - 86400000000 < spans.end_us
),

-- several SKUs of one resource are billed for the same time
last_day_time as (
    select
        *,
        greatest(
            from_us,
            coalesce(
                max(until_us) over (
                    partition by resource_id
                    order by from_us, until_us
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as new_from_us
    from last_day
),

rates as (
    select
        resource_id,
        sum(pico) as pico,
        sum(greatest(until_us - new_from_us, 0)) as billed_us
    from last_day_time
    group by all
),

billed_before as (
    select
        newest.x_source,
        newest.pool,
        newest.pool_kind,
        newest.BillingCurrency,
        newest.provider,
        known.resource_id,
        greatest(known.from_us, newest.until_us, coalesce(bill_ends.until_us, 0)) as from_us,
        least(coalesce(known.until_us, build.logged_until_us), build.logged_until_us) as until_us,
        rates.pico as rate_pico,
        rates.billed_us as rate_us
    from newest
    inner join known on newest.resource_id = known.resource_id
    inner join rates on newest.resource_id = rates.resource_id
    left join bill_ends
        on
            newest.x_source = bill_ends.x_source
            and newest.provider is not distinct from bill_ends.provider
            and newest.pool = bill_ends.pool
    cross join build
    where newest.until_us + 604800000000 >= coalesce(bill_ends.until_us, 0)
),

gpus as (
    select stretches.*
    from known_stretches as stretches
    left join newest on stretches.resource_id = newest.resource_id
    where
        stretches.physical_gpu is not null
        and newest.resource_id is null
),

priced as (
    select
        gpus.*,
        prices.pool,
        prices.currency,
        prices.hour_pico,
        greatest(gpus.from_us, build.logged_from_us, epoch_us(cast(prices.valid_from as timestamp))) as priced_from_us,
        least(
            coalesce(gpus.until_us, build.logged_until_us),
            build.logged_until_us,
            coalesce(
                epoch_us(
                    cast(
                        lead(prices.valid_from) over (
                            partition by gpus.resource_id, gpus.physical_gpu, gpus.from_us
                            order by prices.valid_from, prices.position desc
                        ) as timestamp
                    )
                ),
                build.logged_until_us
            )
        ) as priced_until_us
    from gpus
    inner join prices
        on
            regexp_full_match(coalesce(gpus.gpu_model, ''), prices.gpu_pattern, 's')
            and regexp_full_match(gpus.resource_id, lower(prices.resource_pattern), 's')
    cross join build
),

configured as (
    select
        resource_id,
        physical_gpu,
        from_us,
        min(priced_from_us) as since_us
    from priced
    group by all
),

-- one series of prices for all of the time: of the region before one of all, in the project's currency before others
listed as (
    select
        gpus.*,
        unbilled.pool,
        lists.currency,
        lists.hour_pico,
        lists.valid_from,
        lists.x_load,
        greatest(gpus.from_us, build.logged_from_us, epoch_us(cast(lists.valid_from as timestamp))) as priced_from_us,
        least(
            coalesce(gpus.until_us, build.logged_until_us),
            build.logged_until_us,
            coalesce(configured.since_us, build.logged_until_us),
            coalesce(epoch_us(cast(lists.valid_to as timestamp)), build.logged_until_us)
        ) as priced_until_us
    from gpus
    inner join lists
        on
            lower(gpus.provider) = lists.provider
            and regexp_replace(lower(gpus.instance_type), '^standard_', '') = lists.instance
            and (lists.region is null or lower(replace(gpus.region, ' ', '')) = lists.region)
    inner join unbilled on gpus.resource_id = unbilled.resource_id
    left join configured
        on
            gpus.resource_id = configured.resource_id
            and gpus.physical_gpu = configured.physical_gpu
            and gpus.from_us = configured.from_us
    cross join build
    qualify
        dense_rank() over (
            partition by gpus.resource_id, gpus.physical_gpu, gpus.from_us
            order by lists.region is null, lists.currency <> build.currency, lists.currency
        ) = 1
),

never_billed as (
    select
        pool,
        currency as BillingCurrency,
        null as provider,
        resource_id,
        priced_from_us as from_us,
        priced_until_us as until_us,
        hour_pico as rate_pico,
        3600000000 as rate_us,
        'configured price' as basis,
        'configured price of ' || coalesce(gpu_model, 'its GPUs') as priced
    from priced
    union all by name
    select
        pool,
        currency as BillingCurrency,
        provider,
        resource_id,
        priced_from_us as from_us,
        priced_until_us as until_us,
        hour_pico as rate_pico,
        3600000000 as rate_us,
        'list price' as basis,
        concat_ws(' ', 'list price of', instance_type, 'in ' || region, 'since', valid_from, 'from', x_load) as priced
    from listed
    where hour_pico is not null
),

every_stretch as (
    select
        *,
        'last billed day' as basis,
        'rate of its last billed day' as description
    from billed_before
    union all by name
    select
        never_billed.* exclude (priced),
        pools.kind as pool_kind,
        priced || ': ' || rtrim(rtrim(cast(money(rate_pico) as varchar), '0'), '.') || ' ' || BillingCurrency
        || ' per GPU and hour' as description
    from never_billed
    inner join pools on never_billed.pool = pools.pool
    where pools.kind in ('gpu', 'training')
),

days as (
    select
        *,
        unnest(range(from_us // 86400000000, (until_us - 1) // 86400000000 + 1)) as day_number
    from every_stretch
    where until_us > from_us
),

pieces as (
    select
        * exclude (from_us, until_us, day_number),
        greatest(from_us, day_number * 86400000000) as start_us,
        least(until_us, (day_number + 1) * 86400000000) as end_us
    from days
),

final as (
    select
        pool,
        pool_kind,
        x_source,
        BillingCurrency,
        provider,
        resource_id,
        start_us,
        end_us,
        basis,
        description,
        cast(sum(rate_pico * (end_us - start_us) // rate_us) as hugeint) as pico
    from pieces
    group by all
)

select * from final
