-- lane_intervals: the busy time of a replica in each telemetry interval: the mean over its GPUs, in nanoseconds.
-- grain: interval_key (a number for lane, hour, from_us and to_us)
-- For lanes that share unobserved time: the time in the gaps of telemetry in which somebody was in flight.
with intervals as (
    select * from slot_intervals
),

lanes as (
    select * from lanes
),

widths as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        replica_id,
        hour,
        count(distinct gpu_uuid) as gpus
    from slot_hours
    where replica_id is not null
    group by all
),

busy as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        replica_id,
        hour,
        from_us,
        to_us,
        cast(sum(busy_us) as bigint) as busy_us
    from intervals
    where
        pool_kind = 'gpu'
        and replica_id is not null
    group by all
),

observed as (
    select
        lanes.lane,
        lanes.day,
        lanes.method,
        busy.hour,
        busy.from_us,
        busy.to_us,
        busy.busy_us * 1000 // widths.gpus as busy_ns
    from busy
    inner join widths
        on
            busy.day = widths.day
            and busy.pool = widths.pool
            and busy.BillingCurrency = widths.BillingCurrency
            and busy.provisional = widths.provisional
            and busy.replica_id = widths.replica_id
            and busy.hour = widths.hour
    inner join lanes
        on
            busy.day = lanes.day
            and busy.pool = lanes.pool
            and busy.BillingCurrency = lanes.BillingCurrency
            and busy.provisional = lanes.provisional
            and busy.replica_id = lanes.replica_id
    where lanes.method <> 'residence'
),

unobserved as (
    select
        lanes.lane,
        lanes.day,
        lanes.method,
        gaps.hour,
        gaps.from_us,
        gaps.to_us,
        gaps.occupied_us * 1000 * gaps.gpus // widths.gpus as busy_ns
    from lane_gaps as gaps
    inner join lanes on gaps.lane = lanes.lane
    inner join widths
        on
            lanes.day = widths.day
            and lanes.pool = widths.pool
            and lanes.BillingCurrency = widths.BillingCurrency
            and lanes.provisional = widths.provisional
            and lanes.replica_id = widths.replica_id
            and gaps.hour = widths.hour
),

intervals_of_lanes as (
    select * from observed
    union all by name
    select * from unobserved
),

final as (
    select
        row_number() over () as interval_key,
        *
    from intervals_of_lanes
)

select * from final
