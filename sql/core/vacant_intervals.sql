-- vacant_intervals: telemetry intervals in which a replica was busy and no request was in flight.
-- grain: lane (of phase_time), hour, from_us, to_us
with intervals as (
    select * from lane_intervals
    where
        busy_ns > 0
        and method = 'phase_time'
),

occupied as (
    select * from interval_cells
    where occupied_us > 0
),

final as (
    select
        intervals.lane,
        intervals.day,
        intervals.hour,
        intervals.from_us,
        intervals.to_us,
        intervals.busy_ns
    from intervals
    anti join occupied on intervals.interval_key = occupied.interval_key
)

select * from final
