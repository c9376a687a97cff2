-- gpu_samples: telemetry of the day in microseconds of the day; where rows of one GPU overlap, the first keeps its time.
-- grain: gpu_uuid, from_us
-- materialized: view
with gpu_usage as (
    select * from lake.gpu_usage
),

build_day as (
    select * from settings.build_day
),

measured as (
    select
        gpu_usage.gpu_uuid,
        epoch_us(gpu_usage.started_at) - build_day.start_us as started_us,
        epoch_us(gpu_usage.ended_at) - build_day.start_us as ended_us,
        -- seconds are floats in the log: a part of a microsecond beyond the interval is their rounding
        least(
            cast(round(gpu_usage.covered_seconds * 1000000) as bigint),
            epoch_us(gpu_usage.ended_at) - epoch_us(gpu_usage.started_at)
        ) as covered_us,
        least(
            cast(round(gpu_usage.busy_seconds * 1000000) as bigint),
            epoch_us(gpu_usage.ended_at) - epoch_us(gpu_usage.started_at)
        ) as busy_us,
        build_day.end_us - build_day.start_us as day_us
    from gpu_usage
    cross join build_day
    where
        gpu_usage.ended_at > gpu_usage.started_at
        and epoch_us(gpu_usage.started_at) < build_day.end_us
        and epoch_us(gpu_usage.ended_at) > build_day.start_us
),

cut as (
    select
        gpu_uuid,
        ended_us - started_us as length_us,
        covered_us,
        busy_us,
        greatest(
            started_us,
            0,
            coalesce(
                max(ended_us) over (
                    partition by gpu_uuid
                    order by started_us, ended_us, covered_us, busy_us
                    rows between unbounded preceding and 1 preceding
                ),
                0
            )
        ) as from_us,
        least(ended_us, day_us) as to_us
    from measured
),

final as (
    select * from cut
    where to_us > from_us
)

select * from final
