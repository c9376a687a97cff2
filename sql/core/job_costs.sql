-- job_costs: what training and batch jobs cost on each slot and hour.
-- grain: slot_hour, job_id
with job_slots as (
    select * from job_slots
),

slots as (
    select * from slot_money
),

final as (
    select
        slots.slot_hour,
        slots.day,
        slots.pool,
        slots.pool_kind,
        slots.BillingCurrency,
        slots.provisional,
        slots.replica_id,
        slots.gpu_uuid,
        job_slots.job_id,
        job_slots.team_id,
        job_slots.user_id,
        job_slots.model_produced,
        case when slots.pool_kind = 'training' then slots.pico else slots.busy_pico end
        * job_slots.taken_us // job_slots.weight_us as pico,
        case when slots.pool_kind = 'training' then slots.pico else slots.busy_pico end
        * job_slots.lost_us // job_slots.weight_us as lost_pico,
        job_slots.taken_us
    from job_slots
    inner join slots on job_slots.slot_hour = slots.slot_hour
)

select * from final
