-- shared_weights: by which driver, and in what proportion, each shared pool is spread.
-- grain: day, pool, currency and all ledger columns; weights are integers above 0
-- cost: the requests' own cost in the pool's currency. requests, tokens: of the day. users: each user once, in equal
-- parts for each team and customer.
-- metric: rows of the day in metrics, whose dimension names the ledger column. fixed: the weights of the configuration.
with pools as (
    select
        pools.*,
        day_money.day,
        day_money.BillingCurrency
    from settings.pools as pools
    inner join day_money on pools.pool = day_money.pool
    where pools.kind = 'shared'
),

usage as (
    select * from party_usage
),

metrics as (
    select * from lake.metrics
),

by_cost as (
    select
        pools.day,
        pools.pool,
        pools.BillingCurrency,
        direct_costs.provider,
        direct_costs.model,
        direct_costs.user_id,
        direct_costs.team_id,
        direct_costs.customer_id,
        direct_costs.feature,
        direct_costs.environment,
        direct_costs.dimensions,
        sum(direct_costs.pico) as weight
    from pools
    inner join direct_costs
        on
            pools.day = direct_costs.day
            and pools.BillingCurrency = direct_costs.BillingCurrency
    where pools.driver = 'cost'
    group by all
),

by_use as (
    select
        pools.day,
        pools.pool,
        pools.BillingCurrency,
        usage.provider,
        usage.model,
        usage.user_id,
        usage.team_id,
        usage.customer_id,
        usage.feature,
        usage.environment,
        usage.dimensions,
        cast(
            case
                when pools.driver = 'requests' then usage.requests
                else
                    (
                        coalesce(usage.input_tokens, 0)
                        - coalesce(usage.cached_input_tokens, 0)
                        - coalesce(usage.cache_write_tokens, 0)
                    ) * pools.input_weight
                    + coalesce(usage.cached_input_tokens, 0) * pools.cached_input_weight
                    + coalesce(usage.cache_write_tokens, 0) * pools.cache_write_weight
                    + coalesce(usage.output_tokens, 0) * pools.output_weight
            end as hugeint
        ) as weight
    from pools
    inner join usage on pools.day = usage.day
    where pools.driver in ('requests', 'tokens')
),

-- 720720 divides evenly by every number up to 16
by_users as (
    select
        pools.day,
        pools.pool,
        pools.BillingCurrency,
        usage.user_id,
        usage.team_id,
        usage.customer_id,
        cast(720720 // count(*) over (partition by pools.day, pools.pool, pools.BillingCurrency, usage.user_id) as hugeint) as weight
    from pools
    inner join usage on pools.day = usage.day
    where
        pools.driver = 'users'
        and usage.user_id is not null
    group by pools.day, pools.pool, pools.BillingCurrency, usage.user_id, usage.team_id, usage.customer_id
),

by_metric as (
    select
        pools.day,
        pools.pool,
        pools.BillingCurrency,
        case when metrics.dimension = 'model' then metrics.key end as model,
        case when metrics.dimension = 'user' then metrics.key end as user_id,
        case when metrics.dimension = 'team' then metrics.key end as team_id,
        case when metrics.dimension = 'customer' then metrics.key end as customer_id,
        case when metrics.dimension = 'feature' then metrics.key end as feature,
        case when metrics.dimension = 'environment' then metrics.key end as environment,
        cast(sum(metrics.quantity) * 1000000000 as hugeint) as weight
    from pools
    inner join metrics
        on
            pools.day = metrics.day
            and pools.metric = metrics.name
    where
        pools.driver = 'metric'
        and metrics.dimension in ('model', 'user', 'team', 'customer', 'feature', 'environment')
    group by all
),

by_fixed as (
    select
        pools.day,
        pools.pool,
        pools.BillingCurrency,
        pool_weights.team_id,
        cast(pool_weights.weight as hugeint) as weight
    from pools
    inner join settings.pool_weights as pool_weights on pools.pool = pool_weights.pool
    where pools.driver = 'fixed'
),

every_driver as (
    select * from by_cost
    union all by name
    select * from by_use
    union all by name
    select * from by_users
    union all by name
    select * from by_metric
    union all by name
    select * from by_fixed
),

-- the product of a weight and a pool's pico-units must stay inside 128 bits in any currency
measured as (
    select
        * exclude (weight),
        weight // greatest(sum(weight) over (partition by day, pool, BillingCurrency) // 1000000000000000, 1) as weight
    from every_driver
    where weight > 0
),

final as (
    select * from measured
    where weight > 0
)

select * from final
