-- priced_pools: the API pools that have known prices, with the day's use of models that have one, and of those that have none.
-- grain: day, pool
-- A pool has known prices where the configuration has some of its provider, or any model that was used has one. Without
-- any, requests share by token weights: nobody's price is needed to divide one bill.
with pools as (
    select * from settings.pools
    where kind = 'api'
),

prices as (
    select * from settings.token_prices
),

batch_days as (
    select * from settings.batch_days
),

usage as (
    select * from api_usage
),

final as (
    select
        batch_days.day,
        pools.pool,
        min(usage.currency) as currency,
        coalesce(sum(usage.pico), 0) as pico,
        count(distinct usage.model) filter (where usage.currency is null and usage.has_tokens) as unpriced_models,
        min(usage.model) filter (where usage.currency is null and usage.has_tokens) as unpriced_model
    from pools
    cross join batch_days
    left join usage
        on
            batch_days.day = usage.day
            and pools.pool = usage.pool
    group by batch_days.day, pools.pool, pools.provider
    having
        count(usage.currency) > 0
        or exists (
            select 1
            from prices
            where
                pools.provider is null
                or prices.provider is null
                or lower(prices.provider) = lower(pools.provider)
        )
)

select * from final
