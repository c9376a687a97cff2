-- job_gpus: the GPUs that each training or batch job held, in microseconds of the day.
-- grain: day, job_id, gpu_uuid, from_us; pieces of a job's time, cut where another job on the same GPU begins or ends
-- `share` in millionths: a job that names nodes and fewer GPUs than they have, holds a part of each. Jobs that together
-- ask for more than the whole GPU share it.
with jobs as (
    select * from lake.jobs
),

slots as (
    select distinct
        day,
        gpu_uuid,
        node_id
    from gpu_slots
),

batch_days as (
    select * from settings.batch_days
),

lived as (
    select
        batch_days.day,
        jobs.*,
        greatest(epoch_us(jobs.started_at) - batch_days.start_us, 0) as from_us,
        least(coalesce(epoch_us(jobs.ended_at), batch_days.end_us), batch_days.end_us) - batch_days.start_us as to_us,
        -- from when on the work of a job that failed was lost
        case
            when
                lower(jobs.status) in (
                    'failed', 'error', 'cancelled', 'timeout', 'node_fail', 'out_of_memory', 'preempted', 'requeued',
                    'boot_fail', 'deadline'
                )
                then greatest(
                    epoch_us(coalesce(jobs.last_checkpoint_at, jobs.started_at)) - batch_days.start_us, 0
                )
        end as lost_from_us
    from jobs
    inner join batch_days
        on
            epoch_us(jobs.started_at) < batch_days.end_us
            and coalesce(epoch_us(jobs.ended_at), batch_days.end_us) > batch_days.start_us
),

named as (
    select distinct
        day,
        job_id,
        unnest(string_split_regex(trim(gpu_uuids), '[\s,;]+')) as gpu_uuid,
        1000000 as share
    from lived
    where trim(gpu_uuids) <> ''
),

job_nodes as (
    select distinct
        day,
        job_id,
        gpu_count,
        unnest(string_split_regex(trim(node_id), '[\s,;]+')) as node_id
    from lived
    where coalesce(trim(gpu_uuids), '') = ''
),

on_nodes as (
    select
        job_nodes.day,
        job_nodes.job_id,
        slots.gpu_uuid,
        least(
            coalesce(job_nodes.gpu_count, count(*) over (partition by job_nodes.day, job_nodes.job_id)) * 1000000
            // count(*) over (partition by job_nodes.day, job_nodes.job_id),
            1000000
        ) as share
    from job_nodes
    inner join slots
        on
            job_nodes.day = slots.day
            and job_nodes.node_id = slots.node_id
),

held as (
    select * from named
    union all by name
    select * from on_nodes
),

spans as (
    select
        lived.day,
        lived.job_id,
        lived.team_id,
        lived.user_id,
        lived.model_produced,
        lived.lost_from_us,
        held.gpu_uuid,
        held.share,
        lived.from_us,
        lived.to_us
    from lived
    inner join held
        on
            lived.day = held.day
            and lived.job_id = held.job_id
),

moments as (
    select
        day,
        gpu_uuid,
        from_us as at_us
    from spans
    union
    select
        day,
        gpu_uuid,
        to_us as at_us
    from spans
),

pieces as (
    select
        day,
        gpu_uuid,
        at_us as from_us,
        lead(at_us) over (partition by day, gpu_uuid order by at_us) as to_us
    from moments
),

asked as (
    select
        spans.* exclude (from_us, to_us),
        pieces.from_us,
        pieces.to_us,
        sum(spans.share) over (partition by pieces.day, pieces.gpu_uuid, pieces.from_us) as asked
    from spans
    inner join pieces
        on
            spans.day = pieces.day
            and spans.gpu_uuid = pieces.gpu_uuid
            and spans.from_us <= pieces.from_us
            and spans.to_us >= pieces.to_us
),

final as (
    select
        * exclude (share, asked),
        cast(share * 1000000 // greatest(asked, 1000000) as bigint) as share
    from asked
)

select * from final
