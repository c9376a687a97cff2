-- priced_pools: the API pools that have known prices, with the day's use of models that have one, and of those that have none.
-- grain: pool
with pools as (
    select * from settings.pools
    where kind = 'api'
),

prices as (
    select * from settings.token_prices
),

usage as (
    select * from api_usage
),

final as (
    select
        pools.pool,
        min(usage.currency) as currency,
        coalesce(sum(usage.pico), 0) as pico,
        count(usage.model) filter (where usage.currency is null and usage.has_tokens) as unpriced_models,
        min(usage.model) filter (where usage.currency is null and usage.has_tokens) as unpriced_model
    from pools
    left join usage on pools.pool = usage.pool
    where
        exists (
            select 1
            from prices
            where
                pools.provider is null
                or prices.provider is null
                or lower(prices.provider) = lower(pools.provider)
        )
    group by all
)

select * from final
