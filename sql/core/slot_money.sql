-- slot_money: the cost of each slot and hour by what the GPU did: busy, idle, not observed, or held by a job.
-- grain: slot_hour; pico = busy + idle + estimated + unobserved + jobs, where jobs are apart only in training pools
-- `estimated` is unobserved time in which somebody was in flight, in pools that share it.
-- Every part is an integer share of the cost, the last one what is left, so that the parts add up exactly.
with slot_hours as (
    select * from slot_hours
),

intervals as (
    select * from slot_intervals
),

job_slots as (
    select * from job_slots
),

jobs as (
    select * from job_gpus
),

job_overlaps as (
    select
        intervals.slot_hour,
        intervals.from_us,
        cast(
            least(
                sum(
                    (least(intervals.to_us, jobs.to_us) - greatest(intervals.from_us, jobs.from_us))
                    * jobs.share // 1000000
                ),
                any_value(intervals.to_us - intervals.from_us)
            ) as bigint
        ) as job_us
    from intervals
    inner join jobs
        on
            intervals.day = jobs.day
            and intervals.gpu_uuid = jobs.gpu_uuid
            and intervals.from_us < jobs.to_us
            and intervals.to_us > jobs.from_us
    where intervals.pool_kind = 'training'
    group by all
),

observed as (
    select
        intervals.slot_hour,
        cast(sum(intervals.covered_us) as bigint) as covered_us,
        cast(sum(intervals.busy_us) as bigint) as busy_us,
        sum(
            mul_div(
                intervals.covered_us,
                intervals.to_us - intervals.from_us - coalesce(job_overlaps.job_us, 0),
                intervals.to_us - intervals.from_us
            )
        ) as free_covered_us,
        sum(
            mul_div(
                intervals.busy_us,
                intervals.to_us - intervals.from_us - coalesce(job_overlaps.job_us, 0),
                intervals.to_us - intervals.from_us
            )
        ) as free_busy_us
    from intervals
    left join job_overlaps
        on
            intervals.slot_hour = job_overlaps.slot_hour
            and intervals.from_us = job_overlaps.from_us
    group by all
),

held as (
    select
        job_slots.slot_hour,
        sum(slot_hours.pico * job_slots.taken_us // job_slots.weight_us) as job_pico
    from job_slots
    inner join slot_hours on job_slots.slot_hour = slot_hours.slot_hour
    where slot_hours.pool_kind = 'training'
    group by all
),

gaps as (
    select
        slot_gaps.slot_hour,
        sum(lane_gaps.occupied_us) as occupied_us
    from slot_gaps
    inner join lanes
        on
            slot_gaps.day = lanes.day
            and slot_gaps.pool = lanes.pool
            and slot_gaps.BillingCurrency = lanes.BillingCurrency
            and slot_gaps.provisional = lanes.provisional
            and slot_gaps.replica_id = lanes.replica_id
    inner join lane_gaps
        on
            lanes.lane = lane_gaps.lane
            and slot_gaps.hour = lane_gaps.hour
            and slot_gaps.from_us = lane_gaps.from_us
            and slot_gaps.to_us = lane_gaps.to_us
    group by all
),

measured as (
    select
        slot_hours.*,
        slot_hours.to_us - slot_hours.from_us as billed_us,
        coalesce(observed.covered_us, 0) as covered_us,
        coalesce(observed.busy_us, 0) as busy_us,
        coalesce(held.job_pico, 0) as job_pico,
        coalesce(gaps.occupied_us, 0) as occupied_us,
        case
            when slot_hours.pool_kind = 'training' then coalesce(observed.free_covered_us, 0)
            else coalesce(observed.covered_us, 0)
        end as attributed_covered_us,
        case
            when slot_hours.pool_kind = 'training' then coalesce(observed.free_busy_us, 0)
            else coalesce(observed.busy_us, 0)
        end as attributed_busy_us
    from slot_hours
    left join observed on slot_hours.slot_hour = observed.slot_hour
    left join held on slot_hours.slot_hour = held.slot_hour
    left join gaps on slot_hours.slot_hour = gaps.slot_hour
),

shared as (
    select
        *,
        pico * attributed_busy_us // billed_us as busy_pico,
        pico * occupied_us // billed_us as estimated_pico,
        case
            -- what no slot of a GPU uses is known to be idle without any telemetry
            when gpu_uuid is null then pico
            else pico * attributed_covered_us // billed_us - pico * attributed_busy_us // billed_us
        end as idle_pico
    from measured
),

final as (
    select
        *,
        pico - busy_pico - idle_pico - estimated_pico - job_pico as unobserved_pico
    from shared
)

select * from final
