-- method_time: phase_time and gpu_seconds: what each request's prefill and decode cost, from the prices of its cells.
-- grain: day, method, pool, BillingCurrency, provisional, estimated, x_source, request_id
-- A request costs P(f) - P(s) + D(e) - D(f), where P(t) and D(t) are the sums up to t, interpolated inside the cell.
-- Every moment has a price, so that left joins find it; as inner joins they would be reordered.
-- materialized: view
with flights as (
    select * from flights
    where e > s
),

prices as (
    select * from cell_prices
),

build as (
    select * from settings.build
),

wanted as (
    select * from settings.pool_methods
),

final as (
    select
        flights.day,
        flights.counts_as as method,
        flights.method = 'residence' as estimated,
        flights.pool,
        flights.BillingCurrency,
        flights.provisional,
        flights.x_source,
        flights.request_id,
        flights.provider,
        flights.model,
        flights.user_id,
        flights.team_id,
        flights.customer_id,
        flights.feature,
        flights.environment,
        flights.dimensions,
        flights.trace_id,
        flights.agent,
        flights.replica_id,
        at_first.prefill_before + at_first.prefill_rate * (flights.f % build.cell_us)
        + at_first.prefill_rest * (flights.f % build.cell_us) // build.cell_us
        - at_start.prefill_before - at_start.prefill_rate * (flights.s % build.cell_us)
        - at_start.prefill_rest * (flights.s % build.cell_us) // build.cell_us
        + at_end.decode_before + at_end.decode_rate * (flights.e % build.cell_us)
        + at_end.decode_rest * (flights.e % build.cell_us) // build.cell_us
        - at_first.decode_before - at_first.decode_rate * (flights.f % build.cell_us)
        - at_first.decode_rest * (flights.f % build.cell_us) // build.cell_us
            as pico
    from flights
    cross join build
    inner join wanted
        on
            flights.pool = wanted.pool
            and flights.counts_as = wanted.method
    left join prices as at_start on flights.lane * 131072 + flights.s // build.cell_us = at_start.cell_key
    left join prices as at_first on flights.lane * 131072 + flights.f // build.cell_us = at_first.cell_key
    left join prices as at_end on flights.lane * 131072 + flights.e // build.cell_us = at_end.cell_key
)

select * from final
