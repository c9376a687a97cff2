-- provisional_usage: what the use of model APIs costs by known prices after the end of their bill, by day.
-- grain: pool, start, currency
-- A model without a price has no amount here: nobody knows what it costs.
with pools as (
    select
        pools.*,
        coalesce(bill_ends.until_us, build.logged_from_us) as bill_until_us,
        build.horizon_us
    from settings.pools as pools
    inner join api_bill_ends as bill_ends on pools.pool = bill_ends.pool
    cross join settings.build as build
),

-- narrowed by the build to the days from the earliest end of a bill on
requests as (
    select requests.*
    from calls as requests
    anti join lake.gpu_inventory as inventory
        on
            requests.replica_id = inventory.replica_id
            and inventory.valid_from < requests.day + 1
            and coalesce(inventory.valid_to, timestamp 'infinity') > requests.day
    where
        not coalesce(requests.gateway_cache_hit, false)
        and requests.day = cast(requests.started_at as date)
),

prices as (
    select * from settings.request_prices
),

usage as (
    select
        requests.*,
        pools.pool,
        pools.bill_until_us,
        pools.horizon_us,
        price_tier(requests.service_tier) as tier,
        extract(hour from requests.started_at) * 60 + extract(minute from requests.started_at) as minute
    from requests
    inner join estimating_pools on lower(requests.provider) is not distinct from estimating_pools.provider
    inner join pools
        on
            estimating_pools.pool = pools.pool
            and epoch_us(requests.started_at) >= pools.bill_until_us
            and epoch_us(requests.started_at) < pools.horizon_us
),

priced as (
    select
        usage.pool,
        usage.day,
        usage.bill_until_us,
        usage.horizon_us,
        lower(usage.provider) as provider,
        prices.currency,
        prices.price_provider is null as is_own_price,
        yocto_to_pico(
            token_yocto(
                1, usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens,
                usage.cache_write_1h_tokens, usage.output_tokens, usage.reasoning_tokens,
                prices.request_yocto, prices.input_yocto, prices.cached_input_yocto, prices.cache_write_yocto,
                prices.cache_write_1h_yocto, prices.output_yocto, prices.reasoning_yocto
            )
        ) as pico
    from usage
    inner join prices
        on
            usage.provider is not distinct from prices.provider
            and coalesce(usage.response_model, usage.model) = prices.model
            and usage.model = prices.asked_model
            and usage.tier = prices.tier
            and usage.day >= prices.valid_from
            and usage.day < prices.valid_to
            and usage.minute >= prices.minute_from
            and usage.minute < prices.minute_to
            and coalesce(usage.input_tokens, 0) > prices.tokens_over
            and coalesce(usage.input_tokens, 0) <= prices.tokens_upto
),

final as (
    select
        pool,
        'api' as pool_kind,
        currency as BillingCurrency,
        min(provider) as provider,
        greatest(epoch_us(cast(day as timestamp)), bill_until_us) as start_us,
        least(epoch_us(cast(day as timestamp)) + 86400000000, horizon_us) as end_us,
        case when bool_and(is_own_price) then 'configured price' else 'price table' end as basis,
        cast(sum(pico) as hugeint) as pico
    from priced
    group by pool, currency, day, bill_until_us, horizon_us
)

select * from final
