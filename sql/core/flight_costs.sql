-- flight_costs: what the requests that are followed through time cost, from the prices of their cells, added up two ways.
-- grain: purse and party_key; and lane and model_key. The other two columns are null.
-- The same integers as in method_time, which has them one by one.
with flights as (
    select * from flight_cells
    where not is_nothing
),

prices as (
    select * from cell_prices
),

build as (
    select * from settings.build
),

final as (
    select
        flights.purse,
        flights.party_key,
        flights.lane,
        flights.model_key,
        sum(
            at_first.prefill_before + at_first.prefill_rate * flights.first_us
            + at_first.prefill_rest * flights.first_us // build.cell_us
            - at_start.prefill_before - at_start.prefill_rate * flights.start_us
            - at_start.prefill_rest * flights.start_us // build.cell_us
            + at_end.decode_before + at_end.decode_rate * flights.end_us
            + at_end.decode_rest * flights.end_us // build.cell_us
            - at_first.decode_before - at_first.decode_rate * flights.first_us
            - at_first.decode_rest * flights.first_us // build.cell_us
        ) as pico
    from flights
    cross join build
    left join prices as at_start on flights.start_key = at_start.cell_key
    left join prices as at_first on flights.first_key = at_first.cell_key
    left join prices as at_end on flights.end_key = at_end.cell_key
    group by grouping sets ((flights.purse, flights.party_key), (flights.lane, flights.model_key))
)

select * from final
