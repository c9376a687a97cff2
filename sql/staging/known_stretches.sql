-- known_stretches: when the inventory knows a billed resource, and each physical GPU of it, in stretches that do not touch.
-- grain: resource_id, physical_gpu (null: the resource as a whole), from_us; microseconds since 1970, until_us is null
-- while it still holds
-- However many instances or shares a GPU is cut into, and whenever they were made, it is one GPU.
with inventory as (
    select
        lower(ResourceId) as resource_id,
        unnest([coalesce(parent_gpu_uuid, gpu_uuid), null]) as physical_gpu,
        gpu_model,
        provider,
        region,
        instance_type,
        epoch_us(valid_from) as from_us,
        coalesce(epoch_us(valid_to), 9000000000000000) as until_us
    from lake.gpu_inventory
),

marked as (
    select
        *,
        coalesce(
            from_us > max(until_us) over (
                partition by resource_id, physical_gpu
                order by from_us, until_us
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as begins
    from inventory
    where until_us > from_us
),

numbered as (
    select
        *,
        count(*) filter (where begins) over (
            partition by resource_id, physical_gpu
            order by from_us, until_us
            rows between unbounded preceding and current row
        ) as stretch
    from marked
),

final as (
    select
        resource_id,
        physical_gpu,
        min(gpu_model) as gpu_model,
        min(provider) as provider,
        min(region) as region,
        min(instance_type) as instance_type,
        min(from_us) as from_us,
        nullif(max(until_us), 9000000000000000) as until_us
    from numbered
    group by resource_id, physical_gpu, stretch
)

select * from final
