-- slot_hours: what each slot costs in each hour, and what is left of a GPU that no slot uses.
-- grain: slot_hour (a number for day, pool, slot, hour and currency); gpu_uuid is null for what no slot of a GPU uses
-- The cost of a resource is split over its GPUs by the time that they were there, and over the slots of a GPU by size;
-- cumulative integer weights make the parts add up to the whole.
with slots as (
    select * from gpu_slots
),

resource_hours as (
    select * from resource_hours
),

placed as (
    select
        resource_hours.day,
        resource_hours.pool,
        resource_hours.pool_kind,
        resource_hours.BillingCurrency,
        resource_hours.provisional,
        resource_hours.hour,
        resource_hours.pico as resource_pico,
        slots.* exclude (day, from_us, to_us),
        greatest(slots.from_us, resource_hours.hour * 3600000000) as from_us,
        least(slots.to_us, (resource_hours.hour + 1) * 3600000000) as to_us
    from resource_hours
    inner join slots
        on
            resource_hours.day = slots.day
            and resource_hours.resource_id = slots.resource_id
            and slots.from_us < (resource_hours.hour + 1) * 3600000000
            and slots.to_us > resource_hours.hour * 3600000000
),

sized as (
    select
        *,
        cast(units as hugeint) * (to_us - from_us) as weight
    from placed
),

unused as (
    select
        day,
        pool,
        pool_kind,
        BillingCurrency,
        provisional,
        hour,
        any_value(resource_pico) as resource_pico,
        null as gpu_uuid,
        physical_gpu,
        min(node_id) as node_id,
        min(ResourceId) as ResourceId,
        resource_id,
        null as replica_id,
        min(gpu_model) as gpu_model,
        null as team_id,
        null as model,
        0 as units,
        min(from_us) as from_us,
        max(to_us) as to_us,
        cast(7000000 as hugeint) * (max(to_us) - min(from_us)) - sum(weight) as weight
    from sized
    group by day, pool, pool_kind, BillingCurrency, provisional, hour, physical_gpu, resource_id
    having cast(7000000 as hugeint) * (max(to_us) - min(from_us)) > sum(weight)
),

weighted as (
    select * from sized
    union all by name
    select * from unused
),

cumulated as (
    select
        *,
        sum(weight) over (
            partition by day, pool, BillingCurrency, provisional, resource_id, hour
            order by physical_gpu, gpu_uuid, replica_id, from_us
            rows between unbounded preceding and current row
        ) as cumulative,
        sum(weight) over (partition by day, pool, BillingCurrency, provisional, resource_id, hour) as total
    from weighted
),

final as (
    select
        row_number() over (
            order by
                day, pool, BillingCurrency, provisional, resource_id, hour, physical_gpu, gpu_uuid, replica_id, from_us
        ) as slot_hour,
        day,
        pool,
        pool_kind,
        BillingCurrency,
        provisional,
        hour,
        gpu_uuid,
        physical_gpu,
        node_id,
        ResourceId,
        resource_id,
        replica_id,
        gpu_model,
        team_id,
        model,
        from_us,
        to_us,
        cast(weight // 7000000 as bigint) as gpu_us,
        resource_pico * cumulative // total - resource_pico * (cumulative - weight) // total as pico
    from cumulated
)

select * from final
