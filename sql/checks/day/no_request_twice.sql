-- no_request_twice: no request of a source is in the day more than once (by a hash of its key).
select
    day,
    hash(x_source, request_id) as request_hash,
    count(*) as times
from day_requests
group by all
having count(*) > 1
