-- unmatched: what the joins did not match, with its requests, GPU time or money.
-- grain: subject, key, BillingCurrency
-- column subject: which join, for example 'user not in identities'
-- column key: the user, replica, resource, GPU, model, team or customer that found no match
-- column BillingCurrency: currency of the cost; null where no money is known of it
-- column first_day: first day on which it was seen, UTC
-- column last_day: last day on which it was seen, UTC
-- column requests: logged requests; null where it is not about requests
-- column gpu_seconds: GPU-seconds; null where it is not about GPUs
-- column cost: money that stands on it, in the ledger too
-- Where nobody named identities, cost centers or revenue, nothing is missing there.
with days as (
    select * from unmatched_days
    where
        subject <> 'user not in identities'
        or exists (select 1 from identities)
),

ledger as (
    select * from cost_ledger
),

homeless_teams as (
    select
        ledger.day,
        'team without a cost center' as subject,
        ledger.team_id as key,
        ledger.BillingCurrency,
        sum(ledger.cost) as cost
    from ledger
    left join teams on ledger.team_id = teams.team_id
    where
        ledger.team_id is not null
        and teams.cost_center is null
        and exists (select 1 from teams)
        and ledger.team_id not in (
            select team_id
            from identities
            where
                team_id is not null
                and cost_center is not null
        )
    group by all
),

unpaid_customers as (
    select
        ledger.day,
        'customer without revenue' as subject,
        ledger.customer_id as key,
        ledger.BillingCurrency,
        sum(ledger.cost) as cost
    from ledger
    where
        ledger.customer_id is not null
        and exists (select 1 from revenue)
        and ledger.customer_id not in (select customer_id from revenue)
    group by all
),

every_day as (
    select * from days
    union all by name
    select * from homeless_teams
    union all by name
    select * from unpaid_customers
),

final as (
    select
        subject,
        key,
        BillingCurrency,
        min(day) as first_day,
        max(day) as last_day,
        cast(sum(requests) as bigint) as requests,
        sum(gpu_seconds) as gpu_seconds,
        sum(cost) as cost
    from every_day
    group by all
)

select * from final
