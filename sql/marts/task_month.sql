-- task_month: what agent tasks cost that began in a month: the spread, and those that ran away.
-- grain: month, BillingCurrency
-- column month: first day of the month in which the tasks began, UTC
-- column BillingCurrency: currency of all amounts; those of different currencies are never added
-- column tasks: tasks with a cost in this currency
-- column llm_calls: their calls of models
-- column cost: cost of their calls; idle and shared cost are not in it
-- column p50_cost: half of the tasks cost at most this
-- column p95_cost: 95 of 100 tasks cost at most this
-- column p99_cost: 99 of 100 tasks cost at most this
-- column p50_calls: half of the tasks make at most so many calls
-- column p99_calls: 99 of 100 tasks make at most so many calls
-- column dearest_task: trace_id of the dearest task; of several the first by name
-- column dearest_cost: what it cost
-- column dearest_calls: its calls
-- column runaway_tasks: tasks that cost more than ten times p99_cost
-- column runaway_cost: what those cost; null where there are none
-- column cost_of_one: cost by tasks, to twelve decimals
with tasks as (
    select
        cast(date_trunc('month', started_at) as date) as month,
        BillingCurrency,
        trace_id,
        llm_calls,
        cost
    from trace_costs
    where cost is not null
),

spread as (
    select
        month,
        BillingCurrency,
        count(*) as tasks,
        cast(sum(llm_calls) as bigint) as llm_calls,
        sum(cost) as cost,
        quantile_disc(cost, 0.5) as p50_cost,
        quantile_disc(cost, 0.95) as p95_cost,
        quantile_disc(cost, 0.99) as p99_cost,
        quantile_disc(llm_calls, 0.5) as p50_calls,
        quantile_disc(llm_calls, 0.99) as p99_calls
    from tasks
    group by all
),

dearest as (
    select *
    from tasks
    qualify row_number() over (partition by month, BillingCurrency order by cost desc, trace_id) = 1
),

runaways as (
    select
        tasks.month,
        tasks.BillingCurrency,
        count(*) as runaway_tasks,
        sum(tasks.cost) as runaway_cost
    from tasks
    inner join spread
        on
            tasks.month = spread.month
            and tasks.BillingCurrency = spread.BillingCurrency
    where tasks.cost > 10 * spread.p99_cost
    group by all
),

final as (
    select
        spread.month,
        spread.BillingCurrency,
        spread.tasks,
        spread.llm_calls,
        spread.cost,
        spread.p50_cost,
        spread.p95_cost,
        spread.p99_cost,
        spread.p50_calls,
        spread.p99_calls,
        dearest.trace_id as dearest_task,
        dearest.cost as dearest_cost,
        dearest.llm_calls as dearest_calls,
        coalesce(runaways.runaway_tasks, 0) as runaway_tasks,
        runaways.runaway_cost,
        money(cast(spread.cost * 1000000000000 as hugeint) // spread.tasks) as cost_of_one
    from spread
    inner join dearest
        on
            spread.month = dearest.month
            and spread.BillingCurrency = dearest.BillingCurrency
    left join runaways
        on
            spread.month = runaways.month
            and spread.BillingCurrency = runaways.BillingCurrency
)

select * from final
