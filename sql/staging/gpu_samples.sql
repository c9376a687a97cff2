-- gpu_samples: telemetry of the day in microseconds of the day; where rows of one GPU overlap, the first keeps its time.
-- grain: gpu_uuid, from_us
-- materialized: view
with gpu_usage as (
    select * from lake.gpu_usage
),

build_day as (
    select * from settings.build_day
),

gpus as (
    select
        gpu_uuid,
        row_number() over (order by gpu_uuid) as gpu
    from (select distinct gpu_uuid from gpu_usage)
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
        build_day.end_us - build_day.start_us as day_us,
        -- one number orders the ends of all GPUs, those of each after all of the one before
        gpus.gpu * 274877906944 as gpu_base
    from gpu_usage
    inner join gpus on gpu_usage.gpu_uuid = gpus.gpu_uuid
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
            -- of an earlier GPU it is negative here, so that only the GPU's own rows count
            coalesce(
                max(gpu_base + least(ended_us, day_us)) over (
                    order by gpu_base, started_us, ended_us, covered_us, busy_us
                    rows between unbounded preceding and 1 preceding
                ) - gpu_base,
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
