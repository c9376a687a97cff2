-- replica_models: the model and the team that a replica's idle, unobserved and unexplained cost is shown under.
-- grain: day, pool, replica_id
-- What the inventory says; else the model that cost most on the replica that day.
with slots as (
    select * from slot_hours
    where replica_id is not null
),

direct as (
    select
        day,
        pool,
        replica_id,
        model,
        abs(sum(pico)) as pico
    from replica_costs
    group by day, pool, replica_id, model
),

used as (
    select
        day,
        pool,
        replica_id,
        model
    from direct
    qualify row_number() over (partition by day, pool, replica_id order by pico desc, model) = 1
),

said as (
    select
        day,
        pool,
        replica_id,
        min(model) as model,
        min(team_id) as team_id
    from slots
    group by all
),

final as (
    select
        said.day,
        said.pool,
        said.replica_id,
        coalesce(said.model, used.model) as model,
        said.team_id
    from said
    left join used
        on
            said.day = used.day
            and said.pool = used.pool
            and said.replica_id = used.replica_id
)

select * from final
