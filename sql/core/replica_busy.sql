-- replica_busy: what of a replica's busy money no request and no job explains.
-- grain: day, pool, currency, replica; pools whose method is no method of time have one row without a replica
with slots as (
    select * from slot_money
    where pool_kind = 'gpu'
),

pools as (
    select * from settings.pools
),

busy as (
    select
        slots.day,
        slots.pool,
        slots.BillingCurrency,
        slots.provisional,
        case when pools.method in ('phase_time', 'gpu_seconds') then slots.replica_id end as replica_id,
        sum(slots.busy_pico + slots.estimated_pico) as busy_pico
    from slots
    inner join pools on slots.pool = pools.pool
    group by all
),

direct as (
    select
        replica_costs.day,
        replica_costs.pool,
        replica_costs.BillingCurrency,
        replica_costs.provisional,
        case when pools.method in ('phase_time', 'gpu_seconds') then replica_costs.replica_id end as replica_id,
        sum(replica_costs.pico) as pico
    from replica_costs
    inner join pools on replica_costs.pool = pools.pool
    group by all
),

jobs as (
    select
        job_costs.day,
        job_costs.pool,
        job_costs.BillingCurrency,
        job_costs.provisional,
        case when pools.method in ('phase_time', 'gpu_seconds') then job_costs.replica_id end as replica_id,
        sum(job_costs.pico) as pico
    from job_costs
    inner join pools on job_costs.pool = pools.pool
    where job_costs.pool_kind = 'gpu'
    group by all
),

final as (
    select
        busy.day,
        busy.pool,
        busy.BillingCurrency,
        busy.provisional,
        busy.replica_id,
        busy.busy_pico,
        busy.busy_pico - coalesce(direct.pico, 0) - coalesce(jobs.pico, 0) as unexplained_pico
    from busy
    left join direct
        on
            busy.day = direct.day
            and busy.pool = direct.pool
            and busy.BillingCurrency = direct.BillingCurrency
            and busy.provisional = direct.provisional
            and busy.replica_id is not distinct from direct.replica_id
    left join jobs
        on
            busy.day = jobs.day
            and busy.pool = jobs.pool
            and busy.BillingCurrency = jobs.BillingCurrency
            and busy.provisional = jobs.provisional
            and busy.replica_id is not distinct from jobs.replica_id
)

select * from final
