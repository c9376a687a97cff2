-- law_samples: the low quantile of time-to-first-token by input size, from which a prefill law is learned.
-- grain: day, model, gpu_model, size_bin (eight bins to each doubling of the uncached input)
-- The low quantile has no queueing in it. Of a busy day every n-th microsecond's requests are enough.
with requests as (
    select * from day_requests
),

replicas as (
    select
        day,
        replica_id,
        min(gpu_model) as gpu_model
    from gpu_slots
    where replica_id is not null
    group by all
),

batch_days as (
    select * from settings.batch_days
),

measured as (
    select
        requests.day,
        requests.model,
        coalesce(replicas.gpu_model, '') as gpu_model,
        requests.input_tokens - coalesce(requests.cached_input_tokens, 0) as uncached_tokens,
        requests.first_us - requests.started_us as first_token_us,
        case
            when requests.output_tokens > 1 and requests.ended_us > requests.first_us
                then (requests.ended_us - requests.first_us) // (requests.output_tokens - 1)
        end as decode_us
    from requests
    inner join replicas
        on
            requests.day = replicas.day
            and requests.replica_id = replicas.replica_id
    inner join batch_days on requests.day = batch_days.day
    where
        requests.starts_today
        and requests.first_us > requests.started_us
        and requests.input_tokens > coalesce(requests.cached_input_tokens, 0)
        and requests.started_us % batch_days.every = 0
),

final as (
    select
        day,
        model,
        gpu_model,
        cast(floor(log2(uncached_tokens) * 8) as integer) as size_bin,
        count(*) as requests,
        median(uncached_tokens) as uncached_tokens,
        quantile_cont(first_token_us, 0.05) as first_token_us,
        median(decode_us) as decode_us
    from measured
    group by all
)

select * from final
