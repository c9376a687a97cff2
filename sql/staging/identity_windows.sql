-- identity_windows: who an id of the gateway stands for, in windows that do not overlap (a later row ends an earlier one).
-- grain: id, from_at
-- materialized: view
with identities as (
    select * from lake.identities
),

windows as (
    select
        id,
        user_id,
        team_id,
        customer_id,
        coalesce(valid_from, timestamp '0001-01-01') as from_at,
        coalesce(valid_to, timestamp '9999-12-31') as to_at,
        lead(coalesce(valid_from, timestamp '0001-01-01')) over (
            partition by id
            order by valid_from nulls first, kind, user_id, team_id, customer_id
        ) as next_from_at
    from identities
),

final as (
    select
        id,
        user_id,
        team_id,
        customer_id,
        from_at,
        least(to_at, coalesce(next_from_at, to_at)) as to_at
    from windows
    where least(to_at, coalesce(next_from_at, to_at)) > from_at
)

select * from final
