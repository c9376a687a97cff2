-- lanes: a number for each replica, pool, currency and method whose requests are followed through time.
-- grain: lane
-- phase_time is followed on every replica: it also tells when nobody was in flight.
with slot_hours as (
    select * from slot_hours
),

pool_methods as (
    select * from settings.pool_methods
),

replicas as (
    select
        pool,
        BillingCurrency,
        replica_id,
        min(gpu_model) as gpu_model
    from slot_hours
    where
        pool_kind = 'gpu'
        and replica_id is not null
    group by all
),

methods as (
    select
        pool,
        method
    from pool_methods
    where method in ('phase_time', 'gpu_seconds')
    union
    select
        pool,
        'phase_time' as method
    from pool_methods
),

final as (
    select
        row_number() over (order by replicas.replica_id, replicas.pool, replicas.BillingCurrency, methods.method) as lane,
        -- a number for pool, currency and method together
        dense_rank() over (order by replicas.pool, replicas.BillingCurrency, methods.method) as purse,
        replicas.replica_id,
        replicas.pool,
        replicas.BillingCurrency,
        replicas.gpu_model,
        methods.method
    from replicas
    inner join methods on replicas.pool = methods.pool
)

select * from final
