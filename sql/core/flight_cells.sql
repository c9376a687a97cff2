-- flight_cells: the cells in which each flight begins, gets its first token and ends, and how far into them.
-- grain: request and lane, without its id: narrow, as it is read several times
-- cell_key = lane * 131072 + cell, so that one number finds the cell of a lane.
with flights as (
    select * from flights
),

build as (
    select * from settings.build
),

final as (
    select
        flights.lane,
        flights.purse,
        flights.party_key,
        hash(flights.model) as model_key,
        flights.lane * 131072 + flights.s // build.cell_us as start_key,
        flights.lane * 131072 + flights.f // build.cell_us as first_key,
        flights.lane * 131072 + flights.e // build.cell_us as end_key,
        cast(flights.s % build.cell_us as integer) as start_us,
        cast(flights.f % build.cell_us as integer) as first_us,
        cast(flights.e % build.cell_us as integer) as end_us,
        flights.s = flights.e as is_nothing,
        flights.s > flights.f
        or flights.f > flights.e
        or (flights.s < flights.started_us and flights.s > 0)
        or (flights.ended_us is not null and flights.e > greatest(flights.ended_us, 0) and flights.e > flights.s)
            as is_outside_its_life
    from flights
    cross join build
)

select * from final
