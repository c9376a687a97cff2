-- api_usage: the requests to vendor model APIs by day, pool and model, and what they cost at known prices.
-- grain: day, pool, provider, model
with requests as (
    select * from day_requests
    where
        starts_today
        and not is_cache_hit
),

own_replicas as (
    -- also replicas whose bill is not there yet: their requests are never a vendor's
    select distinct
        day,
        replica_id
    from gpu_slots
    where replica_id is not null
),

pools as (
    select * from settings.pools
    where kind = 'api'
),

prices as (
    select * from model_prices
),

used as (
    select
        requests.day,
        pools.pool,
        requests.provider,
        requests.model,
        count(*) as requests,
        sum(requests.input_tokens) as input_tokens,
        sum(requests.cached_input_tokens) as cached_input_tokens,
        sum(requests.cache_write_tokens) as cache_write_tokens,
        sum(requests.cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(requests.output_tokens) as output_tokens
    from requests
    left join own_replicas
        on
            requests.day = own_replicas.day
            and requests.replica_id = own_replicas.replica_id
    inner join pools on pools.provider is null or lower(requests.provider) = lower(pools.provider)
    where own_replicas.replica_id is null
    group by all
),

final as (
    select
        used.day,
        used.pool,
        used.provider,
        used.model,
        used.requests,
        coalesce(used.input_tokens, 0) + coalesce(used.output_tokens, 0) > 0 as has_tokens,
        prices.currency,
        token_pico(
            used.requests, used.input_tokens, used.cached_input_tokens, used.cache_write_tokens,
            used.cache_write_1h_tokens, used.output_tokens, prices.request_pico, prices.input_pico,
            prices.cached_input_pico, prices.cache_write_pico, prices.cache_write_1h_pico, prices.output_pico
        ) as pico
    from used
    left join prices
        on
            used.day = prices.day
            and used.provider is not distinct from prices.provider
            and used.model = prices.model
)

select * from final
