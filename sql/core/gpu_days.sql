-- gpu_days: what each GPU did and cost on a day: direct, training, idle, unobserved, unexplained.
-- grain: day, pool, gpu_uuid, replica_id, currency, provisional; gpu_uuid is null for what no slot of a GPU uses
-- A replica's unexplained money is shared by its GPUs by their busy money; the parts of a GPU add up to its cost.
with slots as (
    select * from slot_money
),

job_costs as (
    select
        slot_hour,
        sum(pico) as pico
    from job_costs
    group by all
),

pools as (
    select * from settings.pools
),

unexplained as (
    select * from replica_busy
),

gpus as (
    select
        slots.day,
        slots.pool,
        slots.pool_kind,
        slots.gpu_uuid,
        slots.replica_id,
        case when pools.method in ('phase_time', 'gpu_seconds') then slots.replica_id end as busy_replica_id,
        slots.node_id,
        slots.ResourceId,
        slots.gpu_model,
        slots.BillingCurrency,
        slots.provisional,
        sum(slots.billed_us) as billed_us,
        sum(slots.gpu_us) as gpu_us,
        sum(slots.covered_us) as covered_us,
        sum(slots.busy_us) as busy_us,
        sum(slots.pico) as pico,
        sum(slots.busy_pico + slots.estimated_pico) as busy_pico,
        sum(slots.idle_pico) as idle_pico,
        sum(slots.unobserved_pico) as unobserved_pico,
        sum(coalesce(job_costs.pico, 0)) as training_pico
    from slots
    inner join pools on slots.pool = pools.pool
    left join job_costs on slots.slot_hour = job_costs.slot_hour
    group by all
),

shared as (
    select
        gpus.*,
        case
            when gpus.pool_kind = 'training' then gpus.busy_pico
            when coalesce(unexplained.busy_pico, 0) = 0 then 0
            -- busy money in parts per million of millions: the product must stay inside 128 bits in any currency
            else
                unexplained.unexplained_pico
                * (gpus.busy_pico // greatest(abs(unexplained.busy_pico) // 1000000000000000, 1))
                // (unexplained.busy_pico // greatest(abs(unexplained.busy_pico) // 1000000000000000, 1))
        end as unexplained_pico
    from gpus
    left join unexplained
        on
            gpus.day = unexplained.day
            and gpus.pool = unexplained.pool
            and gpus.BillingCurrency = unexplained.BillingCurrency
            and gpus.provisional = unexplained.provisional
            and gpus.busy_replica_id is not distinct from unexplained.replica_id
),

final as (
    select
        shared.day,
        shared.pool,
        shared.gpu_uuid,
        shared.replica_id,
        shared.node_id,
        shared.ResourceId,
        shared.gpu_model,
        shared.BillingCurrency,
        shared.provisional,
        shared.billed_us / 1000000 as billed_seconds,
        shared.covered_us / 1000000 as covered_seconds,
        shared.busy_us / 1000000 as busy_seconds,
        shared.gpu_us / 1000000 as gpu_seconds,
        money(pico) as cost,
        money(pico - training_pico - idle_pico - unobserved_pico - unexplained_pico) as direct_cost,
        money(training_pico) as training_cost,
        money(idle_pico) as idle_cost,
        money(unobserved_pico) as unobserved_cost,
        money(unexplained_pico) as unexplained_cost
    from shared
)

select * from final
