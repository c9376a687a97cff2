-- trace_days: agent tasks: the calls, tokens and cost of each agent in each trace.
-- grain: day, trace_id, agent, user_id, team_id, customer_id, currency (null where nothing was billed yet)
with requests as (
    select * from day_requests
    where
        starts_today
        and trace_id is not null
),

request_money as (
    select * from request_money
    where trace_id is not null
),

pools as (
    select * from settings.pools
),

calls as (
    select
        day,
        trace_id,
        agent,
        user_id,
        team_id,
        customer_id,
        count(*) as llm_calls,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        min(started_at) as started_at,
        max(coalesce(ended_at, started_at)) as ended_at
    from requests
    group by all
),

costs as (
    select
        request_money.day,
        request_money.trace_id,
        request_money.agent,
        request_money.user_id,
        request_money.team_id,
        request_money.customer_id,
        request_money.BillingCurrency,
        sum(request_money.pico) as pico,
        sum(request_money.pico) filter (where request_money.provisional) as provisional_pico
    from request_money
    inner join pools
        on
            request_money.pool = pools.pool
            and request_money.method = pools.method
    group by all
),

ranked_costs as (
    select
        *,
        row_number() over (
            partition by day, trace_id, agent, user_id, team_id, customer_id
            order by BillingCurrency
        ) as position
    from costs
),

final as (
    select
        coalesce(calls.day, ranked_costs.day) as day,
        coalesce(calls.trace_id, ranked_costs.trace_id) as trace_id,
        coalesce(calls.agent, ranked_costs.agent) as agent,
        coalesce(calls.user_id, ranked_costs.user_id) as user_id,
        coalesce(calls.team_id, ranked_costs.team_id) as team_id,
        coalesce(calls.customer_id, ranked_costs.customer_id) as customer_id,
        ranked_costs.BillingCurrency,
        -- a task billed in two currencies has two rows: its calls are counted in the first
        case when coalesce(ranked_costs.position, 1) = 1 then coalesce(calls.llm_calls, 0) else 0 end as llm_calls,
        case when coalesce(ranked_costs.position, 1) = 1 then calls.input_tokens end as input_tokens,
        case when coalesce(ranked_costs.position, 1) = 1 then calls.output_tokens end as output_tokens,
        calls.started_at,
        calls.ended_at,
        money(ranked_costs.pico) as cost,
        money(ranked_costs.provisional_pico) as provisional_cost
    from calls
    full join ranked_costs
        on
            calls.day = ranked_costs.day
            and calls.trace_id = ranked_costs.trace_id
            and calls.agent is not distinct from ranked_costs.agent
            and calls.user_id is not distinct from ranked_costs.user_id
            and calls.team_id is not distinct from ranked_costs.team_id
            and calls.customer_id is not distinct from ranked_costs.customer_id
)

select * from final
