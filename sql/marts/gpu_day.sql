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
with gpu_days as (
    select * from gpu_days
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
        unexplained_cost
    from gpu_days
)

select * from final
