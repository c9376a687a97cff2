-- idle_money: the idle cost of the GPU pools by the model and team that own the replica, with the pool's idle policy.
-- grain: day, pool, currency, model, team_id
with slots as (
    select * from slot_money
),

owners as (
    select * from replica_models
),

pools as (
    select * from settings.pools
),

final as (
    select
        slots.day,
        slots.pool,
        pools.idle as policy,
        slots.BillingCurrency,
        slots.provisional,
        coalesce(owners.model, slots.model) as model,
        coalesce(owners.team_id, slots.team_id) as team_id,
        sum(slots.idle_pico) as pico
    from slots
    inner join pools on slots.pool = pools.pool
    left join owners
        on
            slots.day = owners.day
            and slots.pool = owners.pool
            and slots.replica_id = owners.replica_id
    group by all
)

select * from final
