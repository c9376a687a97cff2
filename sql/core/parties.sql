-- parties: who made the requests that lived in a day and what for, by the number that stands for it.
-- grain: party_key (a check holds that no two parties have one number)
with earlier as (
    select distinct
        day,
        provider,
        model,
        user_id,
        team_id,
        customer_id,
        feature,
        environment,
        dimensions
    from day_requests
    where not starts_today
),

every_party as (
    select
        day,
        provider,
        model,
        user_id,
        team_id,
        customer_id,
        feature,
        environment,
        dimensions
    from party_usage
    union
    select * from earlier
),

final as (
    select
        hash(day, provider, model, user_id, team_id, customer_id, feature, environment, dimensions) as party_key,
        every_party.*
    from every_party
)

select * from final
