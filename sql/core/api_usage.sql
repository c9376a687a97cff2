-- api_usage: the requests to vendor model APIs by day, pool and model, and what they cost at known prices.
-- grain: day, pool, provider, model, currency (null where no price is known)
with requests as (
    select * from priced_requests
),

pools as (
    select * from settings.pools
    where kind = 'api'
),

final as (
    select
        requests.day,
        pools.pool,
        requests.provider,
        requests.model,
        count(*) as requests,
        coalesce(sum(requests.input_tokens), 0) + coalesce(sum(requests.output_tokens), 0) > 0 as has_tokens,
        requests.currency,
        sum(requests.pico) as pico
    from requests
    inner join pools on pools.provider is null or lower(requests.provider) = lower(pools.provider)
    group by all
)

select * from final
