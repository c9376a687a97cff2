-- scope_days: what each total, pool, team, model, ... cost on each day: the series that are forecast, judged and budgeted.
-- grain: dimension, key, day, BillingCurrency
-- column dimension: total, class, pool, kind, provider, model, team, customer, feature, environment, 'team x model', or one of `[ledger] dimensions`
-- column key: the pool, team, model, ...; of 'team x model' a JSON list of both; null: the total, or cost of none of them
-- column day: day of the cost, UTC
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column cost: everything on these lines of the ledger; each dimension but those of tags sums to the ledger
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column cogs_cost: the part of cost in pools of class cogs
-- column requests: logged requests, repeated on the row of each currency; null where requests have no such dimension
-- column input_tokens: tokens read, caches included
-- column output_tokens: tokens written, reasoning included
-- column users: how many users made the requests
with ledger as (
    select
        cost_ledger.day,
        cost_ledger.pool,
        pools.class,
        cost_ledger.kind,
        cost_ledger.provider,
        cost_ledger.model,
        cost_ledger.team_id,
        cost_ledger.customer_id,
        cost_ledger.feature,
        cost_ledger.environment,
        cost_ledger.dimensions,
        cost_ledger.BillingCurrency,
        cost_ledger.cost,
        cost_ledger.provisional
    from cost_ledger
    left join pools on cost_ledger.pool = pools.pool
),

costs as (
    select
        case
            when grouping(class) = 0 then 'class'
            when grouping(pool) = 0 then 'pool'
            when grouping(kind) = 0 then 'kind'
            when grouping(provider) = 0 then 'provider'
            when grouping(team_id) = 0 and grouping(model) = 0 then 'team x model'
            when grouping(model) = 0 then 'model'
            when grouping(team_id) = 0 then 'team'
            when grouping(customer_id) = 0 then 'customer'
            when grouping(feature) = 0 then 'feature'
            when grouping(environment) = 0 then 'environment'
            else 'total'
        end as dimension,
        case
            when grouping(team_id) = 0 and grouping(model) = 0 then cast(json_array(team_id, model) as varchar)
            else coalesce(class, pool, kind, provider, model, team_id, customer_id, feature, environment)
        end as key,
        day,
        BillingCurrency,
        sum(cost) as cost,
        sum(cost) filter (where provisional) as provisional_cost,
        sum(cost) filter (where class = 'cogs') as cogs_cost
    from ledger
    group by grouping sets (
        (day, BillingCurrency),
        (day, BillingCurrency, class),
        (day, BillingCurrency, pool),
        (day, BillingCurrency, kind),
        (day, BillingCurrency, provider),
        (day, BillingCurrency, model),
        (day, BillingCurrency, team_id),
        (day, BillingCurrency, team_id, model),
        (day, BillingCurrency, customer_id),
        (day, BillingCurrency, feature),
        (day, BillingCurrency, environment)
    )
),

tagged as (
    select
        day,
        BillingCurrency,
        dimensions,
        unnest(json_keys(dimensions)) as dimension,
        cost,
        case when provisional then cost end as provisional_cost,
        case when class = 'cogs' then cost end as cogs_cost
    from ledger
    where dimensions <> '{}'
),

tag_costs as (
    select
        dimension,
        json_extract_string(dimensions, concat('$."', dimension, '"')) as key,
        day,
        BillingCurrency,
        sum(cost) as cost,
        sum(provisional_cost) as provisional_cost,
        sum(cogs_cost) as cogs_cost
    from tagged
    group by all
),

usage as (
    select
        case
            when grouping(provider) = 0 then 'provider'
            when grouping(team_id) = 0 and grouping(model) = 0 then 'team x model'
            when grouping(model) = 0 then 'model'
            when grouping(team_id) = 0 then 'team'
            when grouping(customer_id) = 0 then 'customer'
            when grouping(feature) = 0 then 'feature'
            when grouping(environment) = 0 then 'environment'
            else 'total'
        end as dimension,
        case
            when grouping(team_id) = 0 and grouping(model) = 0 then cast(json_array(team_id, model) as varchar)
            else coalesce(provider, model, team_id, customer_id, feature, environment)
        end as key,
        day,
        cast(sum(requests) as bigint) as requests,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        count(distinct user_id) as users
    from usage_days
    group by grouping sets (
        (day),
        (day, provider),
        (day, model),
        (day, team_id),
        (day, team_id, model),
        (day, customer_id),
        (day, feature),
        (day, environment)
    )
),

all_costs as (
    select * from costs
    union all by name
    select * from tag_costs
),

final as (
    select
        all_costs.dimension,
        all_costs.key,
        all_costs.day,
        all_costs.BillingCurrency,
        all_costs.cost,
        all_costs.provisional_cost,
        all_costs.cogs_cost,
        usage.requests,
        usage.input_tokens,
        usage.output_tokens,
        usage.users
    from all_costs
    left join usage
        on
            all_costs.dimension = usage.dimension
            and all_costs.key is not distinct from usage.key
            and all_costs.day = usage.day
)

select * from final
