-- replica_costs: the requests' cost under the ledger's own method, by the replica that served them.
-- grain: day, pool, currency, replica, model
with costs as (
    select * from flight_costs
    where lane is not null
),

pools as (
    select * from settings.pools
),

models as (
    select distinct
        hash(model) as model_key,
        model
    from parties
),

by_time as (
    select
        lanes.day,
        lanes.pool,
        lanes.BillingCurrency,
        lanes.provisional,
        lanes.replica_id,
        models.model,
        costs.pico
    from costs
    inner join lanes on costs.lane = lanes.lane
    inner join models on costs.model_key = models.model_key
    inner join pools
        on
            lanes.pool = pools.pool
            and lanes.counts_as = pools.method
),

by_weight as (
    select
        method_weights.day,
        method_weights.pool,
        method_weights.BillingCurrency,
        method_weights.provisional,
        method_weights.replica_id,
        method_weights.model,
        sum(method_weights.pico) as pico
    from method_weights
    inner join pools
        on
            method_weights.pool = pools.pool
            and method_weights.method = pools.method
    where pools.kind = 'gpu'
    group by all
),

final as (
    select * from by_time
    union all by name
    select * from by_weight
)

select * from final
