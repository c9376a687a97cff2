-- lane_intervals: the busy time of a replica in each telemetry interval: the mean over its GPUs, in nanoseconds.
-- grain: lane, hour, from_us, to_us
with intervals as (
    select * from slot_intervals
),

lanes as (
    select * from lanes
),

widths as (
    select
        pool,
        BillingCurrency,
        replica_id,
        hour,
        count(distinct gpu_uuid) as gpus
    from slot_hours
    where replica_id is not null
    group by all
),

busy as (
    select
        pool,
        BillingCurrency,
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

final as (
    select
        lanes.lane,
        lanes.method,
        busy.hour,
        busy.from_us,
        busy.to_us,
        busy.busy_us * 1000 // widths.gpus as busy_ns
    from busy
    inner join widths
        on
            busy.pool = widths.pool
            and busy.BillingCurrency = widths.BillingCurrency
            and busy.replica_id = widths.replica_id
            and busy.hour = widths.hour
    inner join lanes
        on
            busy.pool = lanes.pool
            and busy.BillingCurrency = lanes.BillingCurrency
            and busy.replica_id = lanes.replica_id
)

select * from final
