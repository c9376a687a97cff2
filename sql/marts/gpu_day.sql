-- gpu_day: what each GPU did and cost on each day.
-- grain: day, pool, gpu_uuid, replica_id, BillingCurrency, provisional
-- column day: day, UTC
-- column pool: pool whose charges pay for the GPU
-- column gpu_uuid: the GPU or MIG instance; null: the part of a GPU that no slot uses
-- column replica_id: what it served; null: nothing that the inventory knows
-- column node_id: its node
-- column ResourceId: the billed resource that it belongs to
-- column gpu_model: its model
-- column BillingCurrency: currency of the costs
-- column provisional: whether no bill confirms the cost yet
-- column billed_seconds: time that was paid for
-- column covered_seconds: time that telemetry observed
-- column busy_seconds: time in which any kernel ran
-- column busy_share: busy of covered seconds; null when nothing was observed
-- column cost: what the GPU cost; the sum of the five costs after it
-- column direct_cost: busy time of requests
-- column training_cost: time of training and batch jobs
-- column idle_cost: observed and not busy
-- column unobserved_cost: paid, and no telemetry says what it did
-- column unexplained_cost: busy, and no request or job explains it
-- column gpu_seconds: billed time in whole GPUs; a part of a GPU counts by its size
-- column list_rate: on-demand list price of an hour of a whole GPU; null: not known, and gpu_list_price says why
-- column idle_list_cost: what the idle time would have cost at list price: that of the hours, by the idle part of cost
with gpu_days as (
    select
        *,
        cast(cost * 1000000000000 as hugeint) as pico,
        cast(idle_cost * 1000000000000 as hugeint) as idle_pico
    from gpu_days
),

listed as (
    select * from gpu_list_price
),

valued as (
    select
        gpu_days.*,
        listed.list_rate,
        cast(listed.list_rate * 1000000000000 as hugeint) * cast(round(gpu_days.gpu_seconds * 1000000) as hugeint)
        // 3600000000 as list_pico,
        -- the share in a million of millions at most: the product must stay inside 128 bits in any currency
        greatest(abs(gpu_days.pico) // 1000000000000000, 1) as unit
    from gpu_days
    left join listed
        on
            gpu_days.day = listed.day
            and lower(gpu_days.ResourceId) = listed.ResourceId
            and gpu_days.BillingCurrency = listed.BillingCurrency
),

final as (
    select
        day,
        pool,
        gpu_uuid,
        replica_id,
        node_id,
        ResourceId,
        gpu_model,
        BillingCurrency,
        provisional,
        billed_seconds,
        covered_seconds,
        busy_seconds,
        case when covered_seconds > 0 then busy_seconds / covered_seconds end as busy_share,
        cost,
        direct_cost,
        training_cost,
        idle_cost,
        unobserved_cost,
        unexplained_cost,
        gpu_seconds,
        list_rate,
        money(list_pico * (idle_pico // unit) // nullif(pico // unit, 0)) as idle_list_cost
    from valued
)

select * from final
