-- gpu_hours: what the GPUs of each replica did and cost in each hour of the day.
-- grain: day, hour, pool, replica_id, gpu_model, currency, provisional; seconds are GPU-seconds, summed over GPUs
with slots as (
    select * from slot_money
),

final as (
    select
        slots.day,
        slots.hour,
        slots.pool,
        slots.replica_id,
        slots.gpu_model,
        slots.BillingCurrency,
        slots.provisional,
        count(distinct slots.gpu_uuid) as gpus,
        sum(slots.billed_us) / 1000000 as billed_seconds,
        sum(slots.covered_us) / 1000000 as covered_seconds,
        sum(slots.busy_us) / 1000000 as busy_seconds,
        money(sum(slots.pico)) as cost,
        money(sum(slots.idle_pico)) as idle_cost
    from slots
    group by all
)

select * from final
