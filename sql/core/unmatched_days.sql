-- unmatched_days: what the joins of a day did not match, each with its requests, GPU time or money.
-- grain: day, subject, key, currency (null where it has no money)
with requests as (
    select * from day_requests
    where starts_today
),

ledger as (
    select * from cost_ledger
),

slots as (
    select * from gpu_slots
),

money as (
    select * from slot_money
),

unknown_users as (
    select
        day,
        user_id as key,
        count(*) as requests
    from requests
    where
        user_id is not null
        and not is_known_identity
    group by all
),

user_costs as (
    select
        day,
        user_id,
        BillingCurrency,
        sum(cost) as cost
    from ledger
    where kind = 'direct'
    group by all
),

users as (
    select
        unknown_users.day,
        'user not in identities' as subject,
        unknown_users.key,
        unknown_users.requests,
        user_costs.BillingCurrency,
        user_costs.cost
    from unknown_users
    left join user_costs
        on
            unknown_users.day = user_costs.day
            and unknown_users.key = user_costs.user_id
),

replicas as (
    select
        requests.day,
        'replica not in the inventory' as subject,
        requests.replica_id as key,
        count(*) as requests
    from requests
    left join (select distinct day, replica_id from slots) as placed
        on
            requests.day = placed.day
            and requests.replica_id = placed.replica_id
    where
        requests.replica_id is not null
        and placed.replica_id is null
    group by all
),

resources as (
    select
        hours.day,
        'resource without a GPU in the inventory' as subject,
        coalesce(hours.resource_id, '(no resource)') as key,
        hours.BillingCurrency,
        money(sum(hours.pico)) as cost
    from resource_hours as hours
    left join (select distinct day, resource_id from slots) as placed
        on
            hours.day = placed.day
            and hours.resource_id = placed.resource_id
    where placed.resource_id is null
    group by all
),

gpus as (
    select
        samples.day,
        'GPU without a billed resource' as subject,
        samples.gpu_uuid as key,
        sum(samples.to_us - samples.from_us) / 1000000 as gpu_seconds
    from gpu_samples as samples
    left join (select distinct day, gpu_uuid from slot_hours) as billed
        on
            samples.day = billed.day
            and samples.gpu_uuid = billed.gpu_uuid
    where billed.gpu_uuid is null
    group by all
),

unwatched as (
    select
        day,
        'GPU without telemetry' as subject,
        gpu_uuid as key,
        sum(billed_us) / 1000000 as gpu_seconds,
        BillingCurrency,
        money(sum(pico)) as cost
    from money
    where gpu_uuid is not null
    group by all
    having sum(covered_us) = 0
),

-- pools that share a provider's bills have the same requests
unpriced_models as (
    select
        api_usage.day,
        api_usage.provider,
        api_usage.model,
        max(api_usage.requests) as requests
    from api_usage
    inner join priced_pools
        on
            api_usage.day = priced_pools.day
            and api_usage.pool = priced_pools.pool
    where
        api_usage.currency is null
        and api_usage.has_tokens
    group by all
),

models as (
    select
        day,
        'model without a price' as subject,
        model as key,
        sum(requests) as requests
    from unpriced_models
    group by all
),

found as (
    select * from users
    union all by name
    select * from replicas
    union all by name
    select * from resources
    union all by name
    select * from gpus
    union all by name
    select * from unwatched
    union all by name
    select * from models
),

final as (
    select
        found.day,
        found.subject,
        found.key,
        cast(found.requests as bigint) as requests,
        cast(found.gpu_seconds as double) as gpu_seconds,
        found.BillingCurrency,
        cast(found.cost as decimal(38, 12)) as cost
    from found
)

select * from final
