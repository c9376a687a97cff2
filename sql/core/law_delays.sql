-- law_delays: sums from which one learns how long a prompt holds up the requests that are decoding beside it.
-- grain: day, model, gpu_model
-- The time between a request's first token and its end is a sum: its steps, each longer the more requests share it, and
-- for each prompt that was processed meanwhile a delay that grows with the prompt. Least squares need only sums of
-- products: integers, so that they are the same at any number of threads. Of a busy day every n-th window of two minutes.
with requests as (
    select
        day_requests.day,
        day_requests.model,
        day_requests.replica_id,
        greatest(day_requests.started_us, 0) as started_us,
        day_requests.first_us,
        day_requests.ended_us,
        day_requests.input_tokens - coalesce(day_requests.cached_input_tokens, 0) as uncached_tokens,
        day_requests.output_tokens,
        batch_days.every_window
    from day_requests
    inner join settings.batch_days as batch_days on day_requests.day = batch_days.day
    where
        not day_requests.is_cache_hit
        and (
            day_requests.ended_us is null
            -- an n-th window lies between start and end
            or day_requests.ended_us // 120000000 // batch_days.every_window * batch_days.every_window
            >= greatest(day_requests.started_us, 0) // 120000000
        )
),

laws as (
    select
        lanes.lane,
        lanes.day,
        lanes.replica_id,
        laws.model,
        laws.p0_us,
        laws.p1_ns,
        laws.decode_us
    from lanes
    inner join settings.prefill_laws as laws
        on
            lanes.day = laws.day
            and coalesce(lanes.gpu_model, '') = laws.gpu_model
    where lanes.method = 'phase_time'
),

-- as in flights, with all of the prefill before the first token
phased as (
    select
        laws.lane,
        requests.* exclude (started_us, first_us, ended_us),
        greatest(
            requests.first_us - laws.p0_us - laws.p1_ns * requests.uncached_tokens // 1000, requests.started_us
        ) as s,
        requests.first_us as f,
        least(
            coalesce(requests.ended_us, requests.first_us + laws.decode_us * requests.output_tokens), 86400000000
        ) as e
    from requests
    inner join laws
        on
            requests.day = laws.day
            and requests.replica_id = laws.replica_id
            and requests.model = laws.model
),

flights as (
    select
        *,
        unnest(range(s // 120000000, e // 120000000 + 1)) as time_window
    from phased
    where
        s < f
        and f < e
),

sampled as (
    select
        row_number() over () as flight,
        flights.*
    from flights
    where time_window % every_window = 0
),

decodes as (
    select
        *,
        e - f as decode_us,
        output_tokens - 1 as steps
    from sampled
    where
        output_tokens >= 8
        and f // 120000000 = time_window
        and e // 120000000 = time_window
),

beside as (
    select
        decodes.flight,
        any_value(decodes.model) as model,
        any_value(decodes.lane) as lane,
        any_value(decodes.decode_us) as decode_us,
        any_value(decodes.steps) as steps,
        sum(greatest(least(decodes.e, others.e) - greatest(decodes.f, others.f), 0)) as shared_us,
        sum(greatest(least(decodes.e, others.f) - greatest(decodes.f, others.s), 0) * 1000 // (others.f - others.s))
            as prompts,
        sum(
            greatest(least(decodes.e, others.f) - greatest(decodes.f, others.s), 0) * 1000 // (others.f - others.s)
            * others.uncached_tokens
        ) as prompt_tokens
    from decodes
    inner join sampled as others
        on
            decodes.lane = others.lane
            and decodes.time_window = others.time_window
            and decodes.f < others.e
            and decodes.e > others.s
    group by decodes.flight
),

-- thousandths, so that everything stays an integer
terms as (
    select
        lanes.day,
        beside.model,
        coalesce(lanes.gpu_model, '') as gpu_model,
        cast(beside.decode_us as hugeint) as y,
        cast(beside.steps as hugeint) * 1000 as steps,
        cast(beside.steps as hugeint) * (beside.shared_us * 1000 // beside.decode_us) as shared_steps,
        cast(beside.prompts as hugeint) as prompts,
        cast(beside.prompt_tokens as hugeint) as prompt_tokens
    from beside
    inner join lanes on beside.lane = lanes.lane
),

final as (
    select
        day,
        model,
        gpu_model,
        count(*) as decodes,
        count(*) filter (where prompts > 0) as delayed,
        [
            [sum(steps * steps), sum(steps * shared_steps), sum(steps * prompts), sum(steps * prompt_tokens)],
            [
                sum(steps * shared_steps), sum(shared_steps * shared_steps), sum(shared_steps * prompts),
                sum(shared_steps * prompt_tokens)
            ],
            [sum(steps * prompts), sum(shared_steps * prompts), sum(prompts * prompts), sum(prompts * prompt_tokens)],
            [
                sum(steps * prompt_tokens), sum(shared_steps * prompt_tokens), sum(prompts * prompt_tokens),
                sum(prompt_tokens * prompt_tokens)
            ]
        ] as products,
        [sum(steps * y), sum(shared_steps * y), sum(prompts * y), sum(prompt_tokens * y)] as targets
    from terms
    group by all
)

select * from final
