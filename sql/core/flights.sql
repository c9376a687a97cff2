-- flights: where each request's prefill began (s), its first token came (f) and it ended (e), clipped to the day.
-- grain: day, request and lane; microseconds of the day, s <= f <= e
-- phase_time puts the prefill that the law expects right before the first token, inside the request's life. Of it the
-- stall, the time by which a prompt holds up those who decode, is the request's alone (s to f); what is left of it is
-- shared like decoding. Without a law, a first token or input tokens, and under gpu_seconds and residence, the whole life
-- counts as residence (s = f = start).
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

measured as (
    select
        requests.*,
        lanes.lane,
        lanes.purse,
        lanes.method,
        lanes.counts_as,
        lanes.is_first_of_replica,
        lanes.pool,
        lanes.BillingCurrency,
        lanes.provisional,
        laws.decode_us,
        coalesce(requests.first_us, requests.started_us) as seen_us,
        requests.input_tokens - coalesce(requests.cached_input_tokens, 0) as uncached_tokens,
        case
            when lanes.method = 'phase_time' and requests.first_us is not null
                then laws.p0_us + laws.p1_ns * uncached_tokens // 1000
        end as prefill_us,
        case
            when laws.stall1_ns is not null
                then greatest(laws.stall0_us + laws.stall1_ns * uncached_tokens // 1000, 0)
        end as stall_us
    from requests
    inner join lanes
        on
            requests.day = lanes.day
            and requests.replica_id = lanes.replica_id
    left join laws
        on
            requests.day = laws.day
            and requests.model = laws.model
            and coalesce(lanes.gpu_model, '') = laws.gpu_model
    where not requests.is_cache_hit
),

phased as (
    select
        *,
        case
            when prefill_us is null then started_us else greatest(first_us - prefill_us, started_us)
        end as s_us,
        case
            when prefill_us is null then started_us
            else least(greatest(first_us - prefill_us, started_us) + coalesce(stall_us, prefill_us), first_us)
        end as f_us
    from measured
),

final as (
    select
        * exclude (s_us, f_us, decode_us, seen_us, prefill_us, stall_us, uncached_tokens, first_us),
        least(greatest(s_us, 0), 86400000000) as s,
        least(greatest(f_us, 0), 86400000000) as f,
        -- a request without an end lives as long as its output takes at the usual pace
        least(
            greatest(coalesce(ended_us, seen_us + coalesce(decode_us * output_tokens, 0)), f_us, 0), 86400000000
        ) as e
    from phased
)

select * from final
