-- unit_economics: unit_costs, and besides what input and output tokens, GPU-hours, active users and agent tasks cost.
-- grain: month, unit, model, BillingCurrency
-- column month: first day of the month, UTC
-- column unit: as in unit_costs, and 'million input tokens', 'million output tokens', 'GPU-hour', 'active user', 'task'
-- column model: the model that answered; null: the whole company, and of GPU-hours and tasks there is no other line
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column quantity: how many, repeated on the row of each currency; a user is active in a month with a request
-- column cost: cost of class cogs; of GPU-hours that of the GPU pools, of tasks that of their calls, of tokens its part
-- column provisional_cost: the part of cost that no bill has confirmed yet, between input and output split as cost is
-- column cost_per_unit: cost by quantity, to twelve decimals; null where there was none
-- A model's cost is split into input and output by its tokens at the price of their class (standard tier, the last that
-- began in the month), else at 10 : 1 : 12 : 50 for input, cache reads, cache writes and output. Both parts add up to
-- the cost of its million tokens. Cost of no model is split as that of all models together.
with known as (
    select
        month,
        unit,
        model,
        BillingCurrency,
        quantity,
        cost,
        provisional_cost
    from unit_costs
),

tokens as (
    select
        cast(date_trunc('month', day) as date) as month,
        provider,
        model,
        coalesce(sum(cached_input_tokens), 0) as cached,
        coalesce(sum(cache_write_tokens), 0) as written,
        coalesce(sum(input_tokens), 0) as input,
        coalesce(sum(output_tokens), 0) as output
    from usage_days
    where model is not null
    group by all
),

-- one price of each class for a model and month
priced as (
    select
        tokens.month,
        tokens.provider,
        tokens.model,
        model_prices.input,
        model_prices.cached_input,
        model_prices.cache_write,
        model_prices.output
    from tokens
    inner join model_prices
        on
            tokens.provider = model_prices.provider
            and tokens.model = model_prices.model
    where
        model_prices.service_tier = 'standard'
        and model_prices.input > 0
        and model_prices.output > 0
        and coalesce(model_prices.valid_from, date '0001-01-01') < tokens.month + interval 1 month
        and coalesce(model_prices.valid_to, date '9999-12-31') > tokens.month
    qualify
        row_number() over (
            partition by tokens.month, tokens.provider, tokens.model
            order by
                model_prices.valid_from desc nulls last,
                model_prices.tokens_over nulls first,
                model_prices.minute_from nulls first,
                model_prices.asked_model,
                model_prices.input
        ) = 1
),

weights as (
    select
        tokens.month,
        tokens.model,
        sum(tokens.input) as input,
        sum(tokens.output) as output,
        sum(
            (tokens.input - tokens.cached - tokens.written) * cast(coalesce(priced.input, 10) * 1000000 as hugeint)
            + tokens.cached * cast(coalesce(priced.cached_input, priced.input, 1) * 1000000 as hugeint)
            + tokens.written * cast(coalesce(priced.cache_write, priced.input, 12) * 1000000 as hugeint)
        ) as input_weight,
        sum(tokens.output * cast(coalesce(priced.output, 50) * 1000000 as hugeint)) as output_weight
    from tokens
    left join priced
        on
            tokens.month = priced.month
            and tokens.provider is not distinct from priced.provider
            and tokens.model = priced.model
    group by tokens.month, tokens.model
),

-- of each model's cost the part of input, in billionths; that of the company follows from its models' money
shares as (
    select
        known.month,
        known.model,
        known.BillingCurrency,
        weights.input,
        weights.output,
        cast(weights.input_weight * 1000000000 // (weights.input_weight + weights.output_weight) as hugeint) as billionths,
        coalesce(cast(known.cost * 1000000000000 as hugeint), 0) as pico
    from known
    inner join weights
        on
            known.month = weights.month
            and known.model = weights.model
    where
        known.unit = 'million tokens'
        and weights.input_weight + weights.output_weight > 0
),

company_shares as (
    select
        month,
        cast(null as varchar) as model,
        BillingCurrency,
        sum(input) as input,
        sum(output) as output,
        sum(pico // 1000000 * billionths) // nullif(sum(pico // 1000000), 0) as billionths
    from shares
    group by all
),

split as (
    select
        every_share.*,
        cast(known.cost * 1000000000000 as hugeint) as pico,
        cast(known.provisional_cost * 1000000000000 as hugeint) as provisional_pico
    from (
        select * exclude (pico) from shares
        union all by name
        select * from company_shares
    ) as every_share
    inner join known
        on
            every_share.month = known.month
            and every_share.model is not distinct from known.model
            and every_share.BillingCurrency = known.BillingCurrency
    where
        known.unit = 'million tokens'
        and every_share.billionths is not null
),

users as (
    select
        cast(date_trunc('month', day) as date) as month,
        model,
        count(distinct user_id) as users
    from usage_days
    where model is not null
    group by all
    union all
    select
        cast(date_trunc('month', day) as date) as month,
        null as model,
        count(distinct user_id) as users
    from usage_days
    group by all
),

gpu_hours as (
    select
        cast(date_trunc('month', gpu_days.day) as date) as month,
        gpu_days.BillingCurrency,
        cast(round(sum(gpu_days.gpu_seconds) / 3600, 6) as decimal(38, 12)) as quantity,
        sum(gpu_days.cost) as cost,
        sum(gpu_days.cost) filter (where gpu_days.provisional) as provisional_cost
    from gpu_days
    inner join pools on gpu_days.pool = pools.pool
    where pools.class = 'cogs'
    group by all
),

every_unit as (
    select * from known
    union all by name
    select
        month,
        'million input tokens' as unit,
        model,
        BillingCurrency,
        cast(cast(input as decimal(26, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(38, 12)) as quantity,
        money(pico * billionths // 1000000000) as cost,
        money(provisional_pico * billionths // 1000000000) as provisional_cost
    from split
    union all by name
    select
        month,
        'million output tokens' as unit,
        model,
        BillingCurrency,
        cast(cast(output as decimal(26, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(38, 12)) as quantity,
        money(pico - pico * billionths // 1000000000) as cost,
        money(provisional_pico - provisional_pico * billionths // 1000000000) as provisional_cost
    from split
    union all by name
    select
        known.month,
        'active user' as unit,
        known.model,
        known.BillingCurrency,
        cast(users.users as decimal(38, 12)) as quantity,
        known.cost,
        known.provisional_cost
    from known
    inner join users
        on
            known.month = users.month
            and known.model is not distinct from users.model
    where known.unit = 'request'
    union all by name
    select
        month,
        'GPU-hour' as unit,
        BillingCurrency,
        quantity,
        cost,
        provisional_cost
    from gpu_hours
    union all by name
    select
        month,
        'task' as unit,
        BillingCurrency,
        cast(tasks as decimal(38, 12)) as quantity,
        cost
    from task_month
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
        money(
            cast(cost * 1000000000000 as hugeint) * 1000000 // nullif(cast(quantity * 1000000 as hugeint), 0)
        ) as cost_per_unit
    from every_unit
)

select * from final
