-- direct_costs: the requests' cost under the ledger's own method, added up by who and what they were for.
-- grain: pool, currency, replica and all ledger columns
-- Requests that are followed through time are added up by lane and party straight from the prices of their cells: the
-- same integers as in method_time, which has them one by one.
with flights as (
    select * from flight_cells
    where not is_nothing
),

prices as (
    select * from cell_prices
),

parties as (
    select * from parties
),

pools as (
    select * from settings.pools
),

build_day as (
    select * from settings.build_day
),

lanes as (
    select
        lanes.lane,
        lanes.pool,
        pools.kind as pool_kind,
        lanes.BillingCurrency,
        lanes.replica_id
    from lanes
    inner join pools
        on
            lanes.pool = pools.pool
            and lanes.method = pools.method
),

timed as (
    select
        flights.lane,
        flights.party_key,
        sum(
            at_first.prefill_before + at_first.prefill_rate * flights.first_us
            + at_first.prefill_rest * flights.first_us // build_day.cell_us
            - at_start.prefill_before - at_start.prefill_rate * flights.start_us
            - at_start.prefill_rest * flights.start_us // build_day.cell_us
            + at_end.decode_before + at_end.decode_rate * flights.end_us
            + at_end.decode_rest * flights.end_us // build_day.cell_us
            - at_first.decode_before - at_first.decode_rate * flights.first_us
            - at_first.decode_rest * flights.first_us // build_day.cell_us
        ) as pico
    from flights
    cross join build_day
    left join prices as at_start on flights.start_key = at_start.cell_key
    left join prices as at_first on flights.first_key = at_first.cell_key
    left join prices as at_end on flights.end_key = at_end.cell_key
    group by flights.lane, flights.party_key
),

by_time as (
    select
        lanes.* exclude (lane),
        parties.* exclude (party_key),
        timed.pico
    from timed
    inner join lanes on timed.lane = lanes.lane
    inner join parties on timed.party_key = parties.party_key
),

by_weight as (
    select
        method_weights.pool,
        pools.kind as pool_kind,
        method_weights.BillingCurrency,
        method_weights.replica_id,
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
