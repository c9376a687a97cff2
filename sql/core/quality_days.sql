-- quality_days: how much of requests, GPUs, busy time and cost each join of the day matched.
-- grain: day, subject, measure, unit
with requests as (
    select * from day_requests
    where starts_today
),

replicas as (
    select distinct replica_id from gpu_slots
    where replica_id is not null
),

observed_minutes as (
    select distinct
        replica_id,
        unnest(range(from_us // 60000000, (to_us - 1) // 60000000 + 1)) as minute
    from slot_intervals
    where
        pool_kind = 'gpu'
        and replica_id is not null
        and covered_us > 0
),

joined as (
    select
        requests.user_id,
        requests.is_known_identity,
        requests.usage_quality,
        requests.ended_us,
        requests.replica_id,
        replicas.replica_id is not null as is_placed,
        observed_minutes.replica_id is not null as is_observed
    from requests
    left join replicas on requests.replica_id = replicas.replica_id
    left join observed_minutes
        on
            requests.replica_id = observed_minutes.replica_id
            and requests.started_us // 60000000 = observed_minutes.minute
),

counted as (
    select
        count(*) as requests,
        count(user_id) as with_user,
        count(*) filter (where is_known_identity) as known,
        count(*) filter (where usage_quality <> 'missing') as with_usage,
        count(ended_us) as with_end,
        count(replica_id) as with_replica,
        count(*) filter (where is_placed) as placed,
        count(*) filter (where is_placed and is_observed) as observed
    from joined
),

request_rows as (
    select
        'requests' as subject,
        unnest([
            'with a user', 'with a user in identities', 'with token usage', 'with an end',
            'with a replica in the inventory', 'started while telemetry watched the replica'
        ]) as measure,
        'count' as unit,
        unnest([with_user, known, with_usage, with_end, placed, observed]) as matched,
        unnest([requests, requests, requests, requests, with_replica, placed]) as total
    from counted
),

gpu_rows as (
    select
        'gpus' as subject,
        unnest(['billed and observed by telemetry', 'observed and in the inventory of a bill']) as measure,
        'count' as unit,
        unnest([
            (select count(distinct gpu_uuid) from slot_intervals),
            (select count(distinct gpu_uuid) from slot_intervals)
        ]) as matched,
        unnest([
            (select count(distinct gpu_uuid) from slot_hours),
            (select count(distinct gpu_uuid) from gpu_samples)
        ]) as total
),

billed_rows as (
    select
        'gpu_seconds' as subject,
        'billed and observed by telemetry' as measure,
        'seconds' as unit,
        sum(covered_us) / 1000000 as matched,
        sum(billed_us) / 1000000 as total
    from slot_money
    where gpu_uuid is not null
),

busy_rows as (
    select
        'busy_seconds' as subject,
        'of replicas with a request in flight' as measure,
        'seconds' as unit,
        (
            (select coalesce(sum(busy_ns), 0) from lane_intervals where method = 'phase_time')
            - (select coalesce(sum(busy_ns), 0) from vacant_intervals)
        ) / 1000000000 as matched,
        (select coalesce(sum(busy_ns), 0) from lane_intervals where method = 'phase_time') / 1000000000 as total
),

cost_rows as (
    select
        'cost' as subject,
        unnest(['taken by a pool', 'placed on users, teams or jobs', 'of GPUs with an inventory']) as measure,
        BillingCurrency as unit,
        unnest([
            sum(cost) filter (where pool <> 'unassigned'),
            sum(cost) filter (where kind in ('direct', 'shared', 'training')),
            sum(cost) filter (where kind <> 'unassigned' and pool in (select pool from settings.pools where kind = 'gpu'))
        ]) as matched,
        unnest([
            sum(cost),
            sum(cost),
            sum(cost) filter (where pool in (select pool from settings.pools where kind = 'gpu'))
        ]) as total
    from cost_ledger
    group by BillingCurrency
),

measured as (
    select subject, measure, unit, cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total
    from request_rows
    union all by name
    select subject, measure, unit, cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total
    from gpu_rows
    union all by name
    select subject, measure, unit, cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total
    from billed_rows
    union all by name
    select subject, measure, unit, cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total
    from busy_rows
    union all by name
    select subject, measure, unit, coalesce(matched, 0) as matched, total
    from cost_rows
),

final as (
    select
        build_day.day,
        measured.*
    from measured
    cross join settings.build_day as build_day
    where measured.total is not null
)

select * from final
