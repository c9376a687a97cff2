-- slot_intervals: telemetry cut to the hours and the validity of the slots that it is about.
-- grain: slot_hour, from_us; covered and busy time follow the part of the interval that is left
with samples as (
    select * from gpu_samples
),

slot_hours as (
    select * from slot_hours
),

by_hour as (
    select
        *,
        unnest(range(from_us // 3600000000, (to_us - 1) // 3600000000 + 1)) as hour
    from samples
),

cut as (
    select
        slot_hours.slot_hour,
        slot_hours.day,
        slot_hours.pool,
        slot_hours.pool_kind,
        slot_hours.BillingCurrency,
        slot_hours.provisional,
        slot_hours.hour,
        slot_hours.replica_id,
        slot_hours.gpu_uuid,
        greatest(by_hour.from_us, slot_hours.from_us) as from_us,
        least(by_hour.to_us, slot_hours.to_us) as to_us,
        by_hour.length_us,
        by_hour.covered_us,
        by_hour.busy_us
    from by_hour
    inner join slot_hours
        on
            by_hour.day = slot_hours.day
            and by_hour.gpu_uuid = slot_hours.gpu_uuid
            and by_hour.hour = slot_hours.hour
    where greatest(by_hour.from_us, slot_hours.from_us) < least(by_hour.to_us, slot_hours.to_us)
),

final as (
    select
        slot_hour,
        day,
        pool,
        pool_kind,
        BillingCurrency,
        provisional,
        hour,
        replica_id,
        gpu_uuid,
        from_us,
        to_us,
        case
            when to_us - from_us = length_us then covered_us
            else cast(cast(covered_us as hugeint) * (to_us - from_us) // length_us as bigint)
        end as covered_us,
        case
            when to_us - from_us = length_us then busy_us
            else cast(cast(busy_us as hugeint) * (to_us - from_us) // length_us as bigint)
        end as busy_us
    from cut
)

select * from final
