-- gpu_lines: the ledger lines of own GPUs: direct, training, idle, unobserved, unexplained, unassigned.
-- grain: none; lines are added up in cost_ledger
with slots as (
    select * from slot_money
),

owners as (
    select * from replica_models
),

money as (
    select * from day_money
    where pool_kind in ('gpu', 'training')
),

direct as (
    select
        * exclude (pool_kind),
        'direct' as kind
    from direct_costs
    where pool_kind = 'gpu'
),

training as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        'training' as kind,
        model_produced as model,
        user_id,
        team_id,
        pico
    from job_costs
),

kept_idle as (
    select
        idle_money.day,
        idle_money.pool,
        idle_money.BillingCurrency,
        idle_money.provisional,
        -- under `owner` the owning team pays its idle GPUs as a cost of its own
        case when idle_money.policy = 'owner' and idle_money.team_id is not null then 'direct' else 'idle' end as kind,
        idle_money.model,
        idle_money.team_id,
        idle_money.pico
    from idle_money
    left join (select distinct day, pool, BillingCurrency, provisional from idle_shares) as handed_on
        on
            idle_money.day = handed_on.day
            and idle_money.pool = handed_on.pool
            and idle_money.BillingCurrency = handed_on.BillingCurrency
            and idle_money.provisional = handed_on.provisional
    where handed_on.pool is null
),

handed_idle as (
    select
        *,
        'idle' as kind
    from idle_shares
),

unobserved as (
    select
        slots.day,
        slots.pool,
        slots.BillingCurrency,
        slots.provisional,
        'unobserved' as kind,
        coalesce(owners.model, slots.model) as model,
        coalesce(owners.team_id, slots.team_id) as team_id,
        slots.unobserved_pico as pico
    from slots
    left join owners
        on
            slots.day = owners.day
            and slots.pool = owners.pool
            and slots.replica_id = owners.replica_id
),

unexplained as (
    select
        replica_busy.day,
        replica_busy.pool,
        replica_busy.BillingCurrency,
        replica_busy.provisional,
        'unexplained' as kind,
        owners.model,
        owners.team_id,
        replica_busy.unexplained_pico as pico
    from replica_busy
    left join owners
        on
            replica_busy.day = owners.day
            and replica_busy.pool = owners.pool
            and replica_busy.replica_id = owners.replica_id
),

unexplained_training as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        'unexplained' as kind,
        team_id,
        busy_pico as pico
    from slots
    where pool_kind = 'training'
),

placed as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from slots
    group by all
),

without_inventory as (
    select
        money.day,
        money.pool,
        money.BillingCurrency,
        money.provisional,
        'unassigned' as kind,
        money.pico - coalesce(placed.pico, 0) as pico
    from money
    left join placed
        on
            money.day = placed.day
            and money.pool = placed.pool
            and money.BillingCurrency = placed.BillingCurrency
            and money.provisional = placed.provisional
),

final as (
    select * from direct
    union all by name
    select * from training
    union all by name
    select * from kept_idle
    union all by name
    select * from handed_idle
    union all by name
    select * from unobserved
    union all by name
    select * from unexplained
    union all by name
    select * from unexplained_training
    union all by name
    select * from without_inventory
)

select * from final
