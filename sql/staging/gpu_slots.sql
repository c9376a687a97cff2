-- gpu_slots: the slots of GPUs that serve a replica, with their validity in each day, in microseconds of the day.
-- grain: day and one row of the inventory
-- A slot is a whole GPU, a MIG instance or a share of a time-sliced GPU; `units` is its size in seven-millionths of a GPU.
with inventory as (
    select * from lake.gpu_inventory
),

batch_days as (
    select * from settings.batch_days
),

placed as (
    select
        batch_days.day,
        inventory.gpu_uuid,
        coalesce(inventory.parent_gpu_uuid, inventory.gpu_uuid) as physical_gpu,
        inventory.node_id,
        inventory.ResourceId,
        lower(inventory.ResourceId) as resource_id,
        inventory.replica_id,
        inventory.gpu_model,
        inventory.team_id,
        inventory.model,
        cast(
            case
                -- compute slices: 2 of "1c.2g.20gb"; an A30 has four, every other GPU seven
                when inventory.mig_profile is not null
                    then coalesce(
                        7000000 * try_cast(regexp_extract(inventory.mig_profile, '(\d+)g', 1) as bigint)
                        // case when contains(upper(inventory.gpu_model), 'A30') then 4 else 7 end,
                        7000000
                    )
                when inventory.share is not null then round(inventory.share * 7000000)
                else 7000000
            end as bigint
        ) as units,
        greatest(epoch_us(inventory.valid_from) - batch_days.start_us, 0) as from_us,
        least(
            coalesce(epoch_us(inventory.valid_to), batch_days.end_us) - batch_days.start_us,
            batch_days.end_us - batch_days.start_us
        ) as to_us
    from inventory
    cross join batch_days
),

final as (
    select * from placed
    where to_us > from_us
)

select * from final
