-- job_slots: the time that jobs take in each slot and hour: in a training pool all the time that they hold it, in a
-- serving pool the busy time in which no request was in flight.
-- grain: slot_hour, job_id; taken_us of weight_us (the whole that it is a part of), lost_us of taken_us
with slot_hours as (
    select * from slot_hours
),

jobs as (
    select * from job_gpus
),

intervals as (
    select * from slot_intervals
),

vacant as (
    select
        lanes.day,
        lanes.pool,
        lanes.BillingCurrency,
        lanes.provisional,
        lanes.replica_id,
        vacant_intervals.from_us,
        vacant_intervals.to_us
    from vacant_intervals
    inner join lanes on vacant_intervals.lane = lanes.lane
),

held as (
    select
        slot_hours.slot_hour,
        jobs.job_id,
        jobs.team_id,
        jobs.user_id,
        jobs.model_produced,
        cast(
            sum(
                (least(slot_hours.to_us, jobs.to_us) - greatest(slot_hours.from_us, jobs.from_us))
                * jobs.share // 1000000
            ) as bigint
        ) as taken_us,
        cast(
            sum(
                greatest(
                    least(slot_hours.to_us, jobs.to_us)
                    - greatest(slot_hours.from_us, jobs.from_us, coalesce(jobs.lost_from_us, jobs.to_us)),
                    0
                )
                * jobs.share // 1000000
            ) as bigint
        ) as lost_us,
        any_value(slot_hours.to_us - slot_hours.from_us) as weight_us
    from slot_hours
    inner join jobs
        on
            slot_hours.day = jobs.day
            and slot_hours.gpu_uuid = jobs.gpu_uuid
            and slot_hours.from_us < jobs.to_us
            and slot_hours.to_us > jobs.from_us
    where slot_hours.pool_kind = 'training'
    group by slot_hours.slot_hour, jobs.job_id, jobs.team_id, jobs.user_id, jobs.model_produced
),

busy as (
    select
        intervals.slot_hour,
        jobs.job_id,
        jobs.team_id,
        jobs.user_id,
        jobs.model_produced,
        cast(
            sum(
                cast(intervals.busy_us as hugeint)
                * (least(intervals.to_us, jobs.to_us) - greatest(intervals.from_us, jobs.from_us))
                // (intervals.to_us - intervals.from_us)
                * jobs.share // 1000000
            ) as bigint
        ) as taken_us,
        cast(
            sum(
                cast(intervals.busy_us as hugeint)
                * greatest(
                    least(intervals.to_us, jobs.to_us)
                    - greatest(intervals.from_us, jobs.from_us, coalesce(jobs.lost_from_us, jobs.to_us)),
                    0
                )
                // (intervals.to_us - intervals.from_us)
                * jobs.share // 1000000
            ) as bigint
        ) as lost_us
    from intervals
    inner join jobs
        on
            intervals.day = jobs.day
            and intervals.gpu_uuid = jobs.gpu_uuid
            and intervals.from_us < jobs.to_us
            and intervals.to_us > jobs.from_us
    left join vacant
        on
            intervals.day = vacant.day
            and intervals.pool = vacant.pool
            and intervals.BillingCurrency = vacant.BillingCurrency
            and intervals.provisional = vacant.provisional
            and intervals.replica_id = vacant.replica_id
            and intervals.from_us = vacant.from_us
            and intervals.to_us = vacant.to_us
    where
        intervals.pool_kind = 'gpu'
        and (intervals.replica_id is null or vacant.from_us is not null)
    group by all
),

busy_of_slot as (
    select
        slot_hour,
        cast(sum(busy_us) as bigint) as busy_us
    from intervals
    group by all
),

taken as (
    select * from held
    union all by name
    select
        busy.*,
        busy_of_slot.busy_us as weight_us
    from busy
    inner join busy_of_slot on busy.slot_hour = busy_of_slot.slot_hour
),

final as (
    select
        slot_hour,
        job_id,
        team_id,
        user_id,
        model_produced,
        taken_us,
        lost_us,
        weight_us
    from taken
    where taken_us > 0
)

select * from final
