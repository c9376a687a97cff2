-- quality_days: how much of requests, GPUs, busy time and cost each join of a day matched.
-- grain: day, subject, measure, unit
with batch_days as (
    select day from settings.batch_days
),

requests as (
    select * from day_requests
    where starts_today
),

replicas as (
    select distinct
        day,
        replica_id
    from gpu_slots
    where replica_id is not null
),

observed_minutes as (
    select distinct
        day,
        replica_id,
        unnest(range(from_us // 60000000, (to_us - 1) // 60000000 + 1)) as minute
    from slot_intervals
    where
        pool_kind = 'gpu'
        and replica_id is not null
        and covered_us > 0
),

by_minute as (
    select
        day,
        replica_id,
        started_us // 60000000 as minute,
        count(*) as requests,
        count(*) filter (where is_known_identity) as known,
        count(ended_us) as with_end
    from requests
    group by all
),

joined as (
    select
        by_minute.*,
        replicas.replica_id is not null as is_placed,
        observed_minutes.replica_id is not null as is_observed
    from by_minute
    left join replicas
        on
            by_minute.day = replicas.day
            and by_minute.replica_id = replicas.replica_id
    left join observed_minutes
        on
            by_minute.day = observed_minutes.day
            and by_minute.replica_id = observed_minutes.replica_id
            and by_minute.minute = observed_minutes.minute
),

placed as (
    select
        batch_days.day,
        coalesce(sum(requests), 0) as requests,
        coalesce(sum(known), 0) as known,
        coalesce(sum(with_end), 0) as with_end,
        coalesce(sum(requests) filter (where replica_id is not null), 0) as with_replica,
        coalesce(sum(requests) filter (where is_placed), 0) as placed,
        coalesce(sum(requests) filter (where is_placed and is_observed), 0) as observed
    from batch_days
    left join joined on batch_days.day = joined.day
    group by batch_days.day
),

described as (
    select
        batch_days.day,
        coalesce(sum(requests) filter (where user_id is not null), 0) as with_user,
        coalesce(sum(requests - requests_without_usage), 0) as with_usage
    from batch_days
    left join party_usage on batch_days.day = party_usage.day
    group by batch_days.day
),

counted as (
    select
        placed.*,
        described.* exclude (day)
    from placed
    inner join described on placed.day = described.day
),

request_rows as (
    select
        day,
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
        batch_days.day,
        'gpus' as subject,
        unnest(['billed and observed by telemetry', 'observed and in the inventory of a bill']) as measure,
        'count' as unit,
        unnest([coalesce(matched.gpus, 0), coalesce(matched.gpus, 0)]) as matched,
        unnest([coalesce(billed.gpus, 0), coalesce(observed.gpus, 0)]) as total
    from batch_days
    left join (select day, count(distinct gpu_uuid) as gpus from slot_intervals group by all) as matched
        on batch_days.day = matched.day
    left join (select day, count(distinct gpu_uuid) as gpus from slot_hours group by all) as billed
        on batch_days.day = billed.day
    left join (select day, count(distinct gpu_uuid) as gpus from gpu_samples group by all) as observed
        on batch_days.day = observed.day
),

billed_rows as (
    select
        day,
        'gpu_seconds' as subject,
        'billed and observed by telemetry' as measure,
        'seconds' as unit,
        sum(covered_us) / 1000000 as matched,
        sum(billed_us) / 1000000 as total
    from slot_money
    where gpu_uuid is not null
    group by day
),

busy_rows as (
    select
        batch_days.day,
        'busy_seconds' as subject,
        'of replicas with a request in flight' as measure,
        'seconds' as unit,
        (coalesce(busy.busy_ns, 0) - coalesce(vacant.busy_ns, 0)) / 1000000000 as matched,
        coalesce(busy.busy_ns, 0) / 1000000000 as total
    from batch_days
    left join (
        select
            day,
            sum(busy_ns) as busy_ns
        from lane_intervals
        where method = 'phase_time'
        group by all
    ) as busy
        on batch_days.day = busy.day
    left join (select day, sum(busy_ns) as busy_ns from vacant_intervals group by all) as vacant
        on batch_days.day = vacant.day
),

cost_rows as (
    select
        day,
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
    group by day, BillingCurrency
),

known_user_rows as (
    select
        ledger.day,
        'cost' as subject,
        'of requests, with a user in identities' as measure,
        ledger.BillingCurrency as unit,
        sum(ledger.cost) filter (where ledger.user_id is not null and unmatched.key is null) as matched,
        sum(ledger.cost) as total
    from cost_ledger as ledger
    left join (
        select distinct
            day,
            key
        from unmatched_days
        where subject = 'user not in identities'
    ) as unmatched
        on
            ledger.day = unmatched.day
            and ledger.user_id = unmatched.key
    where
        ledger.kind = 'direct'
        and ledger.provider is not null
    group by all
),

watched_rows as (
    select
        day,
        'cost' as subject,
        'of GPUs, watched by telemetry' as measure,
        BillingCurrency as unit,
        money(sum(pico - estimated_pico - unobserved_pico)) as matched,
        money(sum(pico)) as total
    from slot_money
    where pool_kind = 'gpu'
    group by all
),

-- the bill of model APIs, where it is within a tenth of what was used at its price
trueup_rows as (
    select
        day,
        'cost' as subject,
        'of model APIs, within a tenth of price and usage' as measure,
        BillingCurrency as unit,
        sum(billed_cost) filter (
            where billed_cost between 0.9 * coalesce(vendor_priced_cost, priced_cost)
            and 1.1 * coalesce(vendor_priced_cost, priced_cost)
            and (vendor_priced_cost is null or vendor_priced_cost between 0.9 * priced_cost and 1.1 * priced_cost)
        ) as matched,
        sum(billed_cost) as total
    from trueup_days
    where
        not provisional
        and unpriced_cost = 0
        and coalesce(price_currency, BillingCurrency) = BillingCurrency
        and pool in (select pool from priced_pools where priced_pools.day = trueup_days.day)
    group by all
    having sum(billed_cost) <> 0
),

measured as (
    select * replace (cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total)
    from request_rows
    union all by name
    select * replace (cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total)
    from gpu_rows
    union all by name
    select * replace (cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total)
    from billed_rows
    union all by name
    select * replace (cast(matched as decimal(38, 12)) as matched, cast(total as decimal(38, 12)) as total)
    from busy_rows
    union all by name
    select * replace (coalesce(matched, 0) as matched)
    from cost_rows
    union all by name
    select * replace (coalesce(matched, 0) as matched)
    from known_user_rows
    union all by name
    select *
    from watched_rows
    union all by name
    select * replace (coalesce(matched, 0) as matched)
    from trueup_rows
),

final as (
    select * from measured
    where total is not null
)

select * from final
