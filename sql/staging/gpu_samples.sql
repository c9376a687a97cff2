-- gpu_samples: telemetry in microseconds of the day; where rows of one GPU overlap, the first keeps its time.
-- grain: day, gpu_uuid, from_us
-- materialized: view
with gpu_usage as (
    select * from lake.gpu_usage
),

batch_days as (
    select * from settings.batch_days
),

measured as (
    select
        batch_days.day,
        gpu_usage.gpu_uuid,
        epoch_us(gpu_usage.started_at) - batch_days.start_us as started_us,
        epoch_us(gpu_usage.ended_at) - batch_days.start_us as ended_us,
        -- seconds are floats in the log: a part of a microsecond beyond the interval is their rounding
        least(
            cast(round(gpu_usage.covered_seconds * 1000000) as bigint),
            epoch_us(gpu_usage.ended_at) - epoch_us(gpu_usage.started_at)
        ) as covered_us,
        least(
            cast(round(gpu_usage.busy_seconds * 1000000) as bigint),
            epoch_us(gpu_usage.ended_at) - epoch_us(gpu_usage.started_at)
        ) as busy_us
    from gpu_usage
    inner join batch_days
        on
            gpu_usage.day <= batch_days.day
            and gpu_usage.started_at < batch_days.ended_at
            and gpu_usage.ended_at > batch_days.started_at
    where gpu_usage.ended_at > gpu_usage.started_at
),

cut as (
    select
        day,
        gpu_uuid,
        ended_us - started_us as length_us,
        covered_us,
        busy_us,
        greatest(
            started_us,
            0,
            coalesce(
                max(ended_us) over (
                    partition by day, gpu_uuid
                    order by started_us, ended_us, covered_us, busy_us
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as from_us,
        least(ended_us, 86400000000) as to_us
    from measured
),

final as (
    select * from cut
    where to_us > from_us
)

select * from final
