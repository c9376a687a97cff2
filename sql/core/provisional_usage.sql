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
    from lake.requests as requests
    anti join lake.gpu_inventory as inventory
        on
            requests.replica_id = inventory.replica_id
            and inventory.valid_from < requests.day + 1
            and coalesce(inventory.valid_to, timestamp 'infinity') > requests.day
    where not coalesce(requests.gateway_cache_hit, false)
),

usage as (
    select
        pools.pool,
        pools.bill_until_us,
        pools.horizon_us,
        requests.day,
        lower(requests.provider) as provider,
        coalesce(requests.response_model, requests.model) as model,
        count(*) as requests,
        sum(requests.input_tokens) as input_tokens,
        sum(requests.cached_input_tokens) as cached_input_tokens,
        sum(requests.cache_write_tokens) as cache_write_tokens,
        sum(requests.cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(requests.output_tokens) as output_tokens
    from requests
    inner join estimating_pools on lower(requests.provider) is not distinct from estimating_pools.provider
    inner join pools
        on
            estimating_pools.pool = pools.pool
            and epoch_us(requests.started_at) >= pools.bill_until_us
            and epoch_us(requests.started_at) < pools.horizon_us
    group by all
),

prices as (
    select * from settings.token_prices
),

priced as (
    select
        usage.*,
        prices.currency,
        token_pico(
            usage.requests, usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens,
            usage.cache_write_1h_tokens, usage.output_tokens, prices.request_pico, prices.input_pico,
            prices.cached_input_pico, prices.cache_write_pico, prices.cache_write_1h_pico, prices.output_pico
        ) as pico
    from usage
    inner join prices
        on
            regexp_full_match(usage.model, prices.model_pattern, 's')
            and (prices.provider is null or usage.provider = lower(prices.provider))
            and prices.valid_from <= usage.day
    qualify
        row_number() over (
            partition by usage.pool, usage.day, usage.provider, usage.model
            order by prices.valid_from desc, prices.position
        ) = 1
),

final as (
    select
        pool,
        'api' as pool_kind,
        currency as BillingCurrency,
        min(provider) as provider,
        greatest(epoch_us(cast(day as timestamp)), bill_until_us) as start_us,
        least(epoch_us(cast(day as timestamp)) + 86400000000, horizon_us) as end_us,
        cast(sum(pico) as hugeint) as pico
    from priced
    group by pool, currency, day, bill_until_us, horizon_us
)

select * from final
