-- lanes: a number for each day, replica, pool, currency and method whose requests are followed through time.
-- grain: lane
-- phase_time is followed on every replica: it also tells when nobody was in flight. `residence` shares the time that no
-- telemetry covers, where a pool wants that; its costs count as the pool's own method.
with slot_hours as (
    select * from slot_hours
),

pool_methods as (
    select * from settings.pool_methods
),

replicas as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
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
        method,
        method as counts_as
    from pool_methods
    where method in ('phase_time', 'gpu_seconds')
    union
    select
        pool,
        'phase_time' as method,
        'phase_time' as counts_as
    from pool_methods
    union
    select
        pool,
        'residence' as method,
        method as counts_as
    from settings.pools
    where
        kind = 'gpu'
        and when_unobserved = 'residence'
),

final as (
    select
        row_number() over (
            order by
                replicas.day, replicas.replica_id, replicas.pool, replicas.BillingCurrency, replicas.provisional,
                methods.method
        ) as lane,
        -- a number for day, pool, currency, provisional and method together
        dense_rank() over (
            order by replicas.day, replicas.pool, replicas.BillingCurrency, replicas.provisional, methods.method
        ) as purse,
        -- a replica that is billed in two currencies, or in part, has several lanes
        row_number() over (
            partition by replicas.day, replicas.replica_id, replicas.pool, methods.method
            order by replicas.BillingCurrency, replicas.provisional
        ) = 1 as is_first_of_replica,
        replicas.day,
        replicas.replica_id,
        replicas.pool,
        replicas.BillingCurrency,
        replicas.provisional,
        replicas.gpu_model,
        methods.method,
        methods.counts_as
    from replicas
    inner join methods on replicas.pool = methods.pool
)

select * from final
