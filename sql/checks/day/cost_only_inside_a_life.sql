-- cost_only_inside_a_life: a request is present only between its start and its end, prefill before decode.
select
    x_source,
    request_id,
    s,
    f,
    e
from flights
where
    s > f
    or f > e
    or (s < started_us and s > 0)
    or (ended_us is not null and e > greatest(ended_us, 0) and e > s)
