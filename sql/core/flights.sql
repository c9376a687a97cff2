-- flights: where each request's prefill began (s), its first token came (f) and it ended (e), clipped to the day.
-- grain: request and lane; microseconds of the day, s <= f <= e
-- phase_time puts the prefill that the law expects right before the first token, inside the request's life. Without a law
-- or a first token, and under gpu_seconds, the whole life counts as residence (s = f = start).
-- materialized: view
with requests as (
    select * from day_requests
),

lanes as (
    select * from lanes
),

laws as (
    select * from settings.prefill_laws
),

build_day as (
    select * from settings.build_day
),

phased as (
    select
        requests.* exclude (started_us, first_us, ended_us),
        requests.started_us,
        requests.ended_us,
        lanes.lane,
        lanes.method,
        lanes.pool,
        lanes.BillingCurrency,
        laws.decode_us,
        build_day.end_us - build_day.start_us as day_us,
        case
            when lanes.method = 'phase_time' and requests.first_us is not null and laws.p0_us is not null
                then requests.first_us
            else requests.started_us
        end as f_us,
        laws.p0_us
        + laws.p1_ns * (requests.input_tokens - coalesce(requests.cached_input_tokens, 0)) // 1000 as prefill_us,
        coalesce(requests.first_us, requests.started_us) as seen_us
    from requests
    inner join lanes on requests.replica_id = lanes.replica_id
    left join laws
        on
            requests.model = laws.model
            and coalesce(lanes.gpu_model, '') = laws.gpu_model
    cross join build_day
    where not requests.is_cache_hit
),

final as (
    select
        * exclude (f_us, decode_us, seen_us, prefill_us, day_us),
        least(greatest(greatest(f_us - coalesce(prefill_us, 0), started_us), 0), day_us) as s,
        least(greatest(f_us, 0), day_us) as f,
        -- a request without an end lives as long as its output takes at the usual pace
        least(
            greatest(coalesce(ended_us, seen_us + coalesce(decode_us * output_tokens, 0)), f_us, 0), day_us
        ) as e
    from phased
)

select * from final
