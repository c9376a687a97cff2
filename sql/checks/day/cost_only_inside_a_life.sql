-- cost_only_inside_a_life: a request is present only between its start and its end, prefill before decode.
-- What flight_cells marks is looked up among the flights; where nothing is marked, these are not read again.
with marked as (
    select
        lane,
        party_key
    from flight_cells
    where is_outside_its_life
)

select
    flights.day,
    flights.x_source,
    flights.request_id,
    flights.s,
    flights.f,
    flights.e
from flights
semi join marked
    on
        flights.lane = marked.lane
        and flights.party_key = marked.party_key
where
    flights.s > flights.f
    or flights.f > flights.e
    or (flights.s < flights.started_us and flights.s > 0)
    or (flights.ended_us is not null and flights.e > greatest(flights.ended_us, 0) and flights.e > flights.s)
