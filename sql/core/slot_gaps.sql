-- slot_gaps: time of a slot that no telemetry covers, where the pool shares such time by the requests in flight.
-- grain: slot_hour, from_us, to_us
with slot_hours as (
    select slot_hours.*
    from slot_hours
    inner join settings.pools as pools on slot_hours.pool = pools.pool
    where
        pools.kind = 'gpu'
        and pools.when_unobserved = 'residence'
        and slot_hours.replica_id is not null
),

intervals as (
    select * from slot_intervals
),

-- the samples of a GPU do not overlap; the end of the slot's hour closes the last gap
ends as (
    select
        intervals.slot_hour,
        intervals.from_us,
        intervals.to_us
    from intervals
    inner join slot_hours on intervals.slot_hour = slot_hours.slot_hour
    union all by name
    select
        slot_hour,
        to_us as from_us,
        to_us
    from slot_hours
),

stretches as (
    select
        ends.slot_hour,
        slot_hours.day,
        slot_hours.pool,
        slot_hours.BillingCurrency,
        slot_hours.provisional,
        slot_hours.replica_id,
        slot_hours.hour,
        coalesce(
            lag(ends.to_us) over (partition by ends.slot_hour order by ends.from_us, ends.to_us), slot_hours.from_us
        ) as from_us,
        ends.from_us as to_us
    from ends
    inner join slot_hours on ends.slot_hour = slot_hours.slot_hour
),

final as (
    select * from stretches
    where to_us > from_us
)

select * from final
