-- user_month: what each user cost in each month.
-- grain: month, user_id, team_id, customer_id, BillingCurrency
-- column month: first day of the month of the cost, UTC
-- column user_id: who made the requests; null: no user is known, or the cost is nobody's
-- column team_id: team of the user or owner; null: none known
-- column customer_id: customer that the requests were for; null: none known
-- column plan: its plan, of the identity that was valid last in the month; null: none known
-- column cost_center: its cost center, of the same identity; null: none known
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column requests: logged requests; repeated on the row of each currency
-- column input_tokens: tokens read, caches included; null when no request said
-- column output_tokens: tokens written, reasoning included; null when no request said
-- column direct_cost: cost of requests (and of owned pools) itself
-- column idle_cost: GPU time that was paid and not used
-- column shared_cost: part of shared pools, by their driver
-- column training_cost: training and batch jobs
-- column unexplained_cost: busy GPU time or API use that no request or job explains
-- column unobserved_cost: GPU time without telemetry
-- column unpriced_cost: use of models without a price
-- column unassigned_cost: charges that no rule, driver or inventory places
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column estimated_cost: the part of cost whose division is estimated, as no telemetry watched
-- column cost: everything on this line; sums to the ledger
with costs as (
    select
        cast(date_trunc('month', day) as date) as month,
        user_id,
        team_id,
        customer_id,
        BillingCurrency,
        sum(cost) filter (where kind = 'direct') as direct_cost,
        sum(cost) filter (where kind = 'idle') as idle_cost,
        sum(cost) filter (where kind = 'shared') as shared_cost,
        sum(cost) filter (where kind = 'training') as training_cost,
        sum(cost) filter (where kind = 'unexplained') as unexplained_cost,
        sum(cost) filter (where kind = 'unobserved') as unobserved_cost,
        sum(cost) filter (where kind = 'unpriced') as unpriced_cost,
        sum(cost) filter (where kind = 'unassigned') as unassigned_cost,
        sum(cost) filter (where provisional) as provisional_cost,
        sum(cost) filter (where estimated) as estimated_cost,
        sum(cost) as cost
    from cost_ledger
    group by all
),

usage as (
    select
        cast(date_trunc('month', day) as date) as month,
        user_id,
        team_id,
        customer_id,
        cast(sum(requests) as bigint) as requests,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens
    from usage_days
    group by all
),

joined as (
    select
        coalesce(costs.month, usage.month) as month,
        coalesce(costs.user_id, usage.user_id) as user_id,
        coalesce(costs.team_id, usage.team_id) as team_id,
        coalesce(costs.customer_id, usage.customer_id) as customer_id,
        costs.BillingCurrency,
        usage.requests,
        usage.input_tokens,
        usage.output_tokens,
        costs.direct_cost,
        costs.idle_cost,
        costs.shared_cost,
        costs.training_cost,
        costs.unexplained_cost,
        costs.unobserved_cost,
        costs.unpriced_cost,
        costs.unassigned_cost,
        costs.provisional_cost,
        costs.estimated_cost,
        costs.cost
    from costs
    full join usage
        on
            costs.month is not distinct from usage.month
            and costs.user_id is not distinct from usage.user_id
            and costs.team_id is not distinct from usage.team_id
            and costs.customer_id is not distinct from usage.customer_id
),

months as (
    select distinct month from joined
),

-- several ids may stand for one user: the one that began last speaks
identified as (
    select
        months.month,
        identities.user_id,
        identities.plan,
        identities.cost_center
    from identities
    inner join months
        on
            coalesce(identities.valid_from, timestamp '0001-01-01') < months.month + interval 1 month
            and coalesce(identities.valid_to, timestamp '9999-12-31') > months.month
    qualify
        row_number() over (
            partition by months.month, identities.user_id
            order by identities.valid_from desc nulls last, identities.id
        ) = 1
),

final as (
    select
        joined.month,
        joined.user_id,
        joined.team_id,
        joined.customer_id,
        identified.plan,
        identified.cost_center,
        joined.BillingCurrency,
        joined.requests,
        joined.input_tokens,
        joined.output_tokens,
        joined.direct_cost,
        joined.idle_cost,
        joined.shared_cost,
        joined.training_cost,
        joined.unexplained_cost,
        joined.unobserved_cost,
        joined.unpriced_cost,
        joined.unassigned_cost,
        joined.provisional_cost,
        joined.estimated_cost,
        joined.cost
    from joined
    left join identified
        on
            joined.month = identified.month
            and joined.user_id = identified.user_id
)

select * from final
