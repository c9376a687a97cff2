-- vacant_intervals: telemetry intervals in which a replica was busy and no request was in flight.
-- grain: lane (of phase_time), from_us, to_us
with cells as (
    select * from interval_cells
),

final as (
    select
        lane,
        hour,
        from_us,
        to_us,
        any_value(busy_ns) as busy_ns
    from cells
    where method = 'phase_time'
    group by lane, hour, from_us, to_us
    having sum(occupied_us) = 0
)

select * from final
