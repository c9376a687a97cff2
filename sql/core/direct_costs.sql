-- direct_costs: the requests' cost under the ledger's own method, added up by who and what they were for.
-- grain: day, pool, currency, provisional, estimated and all ledger columns
with costs as (
    select * from flight_costs
    where purse is not null
),

parties as (
    select * from parties
),

pools as (
    select * from settings.pools
),

purses as (
    select distinct
        lanes.purse,
        lanes.day,
        lanes.pool,
        pools.kind as pool_kind,
        lanes.BillingCurrency,
        lanes.provisional,
        lanes.method = 'residence' as estimated
    from lanes
    inner join pools
        on
            lanes.pool = pools.pool
            and lanes.counts_as = pools.method
),

by_time as (
    select
        purses.* exclude (purse),
        parties.* exclude (party_key, day),
        costs.pico
    from costs
    inner join purses on costs.purse = purses.purse
    inner join parties on costs.party_key = parties.party_key
),

by_weight as (
    select
        method_weights.day,
        method_weights.pool,
        pools.kind as pool_kind,
        method_weights.BillingCurrency,
        method_weights.provisional,
        method_weights.estimated,
        method_weights.provider,
        method_weights.model,
        method_weights.user_id,
        method_weights.team_id,
        method_weights.customer_id,
        method_weights.feature,
        method_weights.environment,
        method_weights.dimensions,
        sum(method_weights.pico) as pico
    from method_weights
    inner join pools
        on
            method_weights.pool = pools.pool
            and method_weights.method = pools.method
    group by all
),

final as (
    select * from by_time
    union all by name
    select * from by_weight
)

select * from final
