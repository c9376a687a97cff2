-- unit_costs: what one request, one million tokens and one of each configured unit cost to run.
-- grain: month, unit, model, BillingCurrency
-- column month: first day of the month, UTC
-- column unit: 'request', 'million tokens' (read and written), or a unit of `[units]`, for example 'ticket'
-- column model: the model that answered; null: the whole company
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column quantity: how many, repeated on the row of each currency; of a metric in several dimensions, of the first by name
-- column cost: cost of class cogs: for a model its own lines, idle and shared ones included; for the company all
-- column provisional_cost: the part of cost that no bill has confirmed yet
-- column cost_per_unit: cost by quantity, to twelve decimals; null where there was none
-- column training_cost: the month's part of the training of our own models, see training_amortisation; never in cost
-- column training_cost_per_unit: training_cost by quantity
-- Of a unit that is a level (measure = "mean") the quantity is the mean over the days that have a value, to six
-- decimals, so its cost is that of keeping one for the month.
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

-- the same tickets may be reported by customer and by team: they are counted by one dimension
dimensions as (
    select
        name,
        min(dimension) as dimension
    from metrics
    group by all
),

counted_days as (
    select
        metrics.day,
        units.unit,
        units.measure,
        sum(metrics.quantity) as quantity
    from metrics
    inner join units on metrics.name = units.metric
    inner join dimensions
        on
            metrics.name = dimensions.name
            and metrics.dimension = dimensions.dimension
    group by all
),

-- of a level, such as vectors stored, the mean over the days that have a value
counted as (
    select
        cast(date_trunc('month', day) as date) as month,
        unit,
        case measure
            when 'mean' then money(cast(sum(quantity) * 1000000 as hugeint) // count(*) * 1000000)
            else sum(quantity)
        end as quantity
    from counted_days
    group by month, unit, measure
),

of_models as (
    select
        usage.month,
        usage.model,
        costs.BillingCurrency,
        usage.requests,
        usage.tokens,
        costs.cost,
        costs.provisional_cost,
        training.cost as training_cost
    from usage
    left join costs
        on
            usage.month = costs.month
            and usage.model = costs.model
    left join training
        on
            costs.month = training.month
            and costs.model = training.model
            and costs.BillingCurrency = training.BillingCurrency
    where usage.model is not null
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

-- whole pico-units: no amount passes through floating point
measured as (
    select
        *,
        nullif(cast(quantity * 1000000 as hugeint), 0) as millionths,
        cast(cost * 1000000000000 as hugeint) as pico,
        cast(training_cost * 1000000000000 as hugeint) as training_pico
    from units_of_all
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
        money(pico * 1000000 // millionths) as cost_per_unit,
        training_cost,
        money(training_pico * 1000000 // millionths) as training_cost_per_unit
    from measured
)

select * from final
