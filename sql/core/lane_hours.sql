-- lane_hours: what the busy time of a replica cost in each hour, and how long it was; for lanes that share unobserved
-- time, what is shared of it.
-- grain: lane, hour
with lanes as (
    select * from lanes
),

slots as (
    select * from slot_money
),

intervals as (
    select * from lane_intervals
),

times as (
    select
        lane,
        hour,
        cast(sum(busy_ns) as bigint) as busy_ns
    from intervals
    group by all
),

money as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        replica_id,
        hour,
        sum(busy_pico) as busy_pico,
        sum(estimated_pico) as estimated_pico
    from slots
    where replica_id is not null
    group by all
),

final as (
    select
        lanes.lane,
        money.hour,
        case when lanes.method = 'residence' then money.estimated_pico else money.busy_pico end as busy_pico,
        times.busy_ns
    from lanes
    inner join money
        on
            lanes.day = money.day
            and lanes.pool = money.pool
            and lanes.BillingCurrency = money.BillingCurrency
            and lanes.provisional = money.provisional
            and lanes.replica_id = money.replica_id
    inner join times
        on
            lanes.lane = times.lane
            and money.hour = times.hour
    where times.busy_ns > 0
)

select * from final
