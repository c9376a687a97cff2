-- unit_costs: what one request, one million tokens and one of each configured unit cost to run.
-- grain: month, unit, model, BillingCurrency
-- column month: first day of the month, UTC
-- column unit: 'request', 'million tokens' (read and written), or a unit of `[units]`, for example 'ticket'
-- column model: the model that answered; null: the whole company
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column quantity: how many; whole for requests and units
-- column cost: cost of class cogs: for a model its own lines, idle and shared ones included; for the company all
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column cost_per_unit: cost by quantity, to twelve decimals; null where there was none
-- column training_cost: the month's part of the training of our own models, see training_amortisation; never in cost
-- column training_cost_per_unit: training_cost by quantity
with costs as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        cost_ledger.model,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) as cost,
        sum(cost_ledger.cost) filter (where cost_ledger.provisional) as provisional_cost
    from cost_ledger
    inner join pools on cost_ledger.pool = pools.pool
    where pools.class = 'cogs'
    group by all
),

usage as (
    select
        cast(date_trunc('month', day) as date) as month,
        model,
        sum(requests) as requests,
        sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) as tokens
    from usage_days
    group by all
),

training as (
    select * from training_amortisation
),

counted as (
    select
        cast(date_trunc('month', metrics.day) as date) as month,
        units.unit,
        sum(metrics.quantity) as quantity
    from metrics
    inner join units on metrics.name = units.metric
    group by all
),

of_models as (
    select
        costs.month,
        costs.model,
        costs.BillingCurrency,
        usage.requests,
        usage.tokens,
        costs.cost,
        costs.provisional_cost,
        training.cost as training_cost
    from costs
    inner join usage
        on
            costs.month = usage.month
            and costs.model = usage.model
    left join training
        on
            costs.month = training.month
            and costs.model = training.model
            and costs.BillingCurrency = training.BillingCurrency
),

of_company as (
    select
        costs.month,
        cast(null as varchar) as model,
        costs.BillingCurrency,
        any_value(used.requests) as requests,
        any_value(used.tokens) as tokens,
        sum(costs.cost) as cost,
        sum(costs.provisional_cost) as provisional_cost,
        any_value(trained.cost) as training_cost
    from costs
    left join (
        select
            month,
            sum(requests) as requests,
            sum(tokens) as tokens
        from usage
        group by all
    ) as used on costs.month = used.month
    left join (
        select
            month,
            BillingCurrency,
            sum(cost) as cost
        from training
        group by all
    ) as trained
        on
            costs.month = trained.month
            and costs.BillingCurrency = trained.BillingCurrency
    group by costs.month, costs.BillingCurrency
),

figures as (
    select * from of_models
    union all by name
    select * from of_company
),

units_of_all as (
    select
        month,
        'request' as unit,
        model,
        BillingCurrency,
        cast(requests as decimal(38, 12)) as quantity,
        cost,
        provisional_cost,
        training_cost
    from figures
    union all by name
    select
        month,
        'million tokens' as unit,
        model,
        BillingCurrency,
        cast(cast(tokens as decimal(26, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(38, 12)) as quantity,
        cost,
        provisional_cost,
        training_cost
    from figures
    union all by name
    select
        of_company.month,
        counted.unit,
        of_company.model,
        of_company.BillingCurrency,
        cast(counted.quantity as decimal(38, 12)) as quantity,
        of_company.cost,
        of_company.provisional_cost,
        of_company.training_cost
    from of_company
    inner join counted on of_company.month = counted.month
),

final as (
    select
        month,
        unit,
        model,
        BillingCurrency,
        quantity,
        cost,
        provisional_cost,
        -- whole pico-units: no amount passes through floating point
        case
            when quantity > 0
                then money(
                    cast(cost * 1000000000000 as hugeint) * 1000000 // cast(quantity * 1000000 as hugeint)
                )
        end as cost_per_unit,
        training_cost,
        case
            when quantity > 0
                then money(
                    cast(training_cost * 1000000000000 as hugeint) * 1000000 // cast(quantity * 1000000 as hugeint)
                )
        end as training_cost_per_unit
    from units_of_all
)

select * from final
