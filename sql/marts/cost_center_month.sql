-- cost_center_month: what each team, cost center and department cost, by class.
-- grain: month, department, cost_center, team_id, class, gl_account, BillingCurrency
-- column month: first day of the month of the cost, UTC
-- column department: department of the team, a path from the top; null: `[teams]` names none
-- column cost_center: cost center of the team in `[teams]`, else the one of its identities; null: none known
-- column team_id: team of the request, user or owner; null: none known
-- column class: cogs, rnd or opex; null for what no rule took
-- column gl_account: account of the general ledger of the pool
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column cost: their sum; all rows add up to the ledger
-- column provisional_cost: the part of cost that no bill has confirmed yet
with known as (
    select
        team_id,
        min(cost_center) as cost_center
    from identities
    where
        team_id is not null
        and cost_center is not null
    group by all
),

final as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        teams.department,
        coalesce(teams.cost_center, known.cost_center) as cost_center,
        cost_ledger.team_id,
        pools.class,
        pools.gl_account,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) as cost,
        sum(cost_ledger.cost) filter (where cost_ledger.provisional) as provisional_cost
    from cost_ledger
    left join pools on cost_ledger.pool = pools.pool
    left join teams on cost_ledger.team_id = teams.team_id
    left join known on cost_ledger.team_id = known.team_id
    group by all
)

select * from final
