-- trace_costs: what one agent task cost: its LLM calls, agents and tokens.
-- grain: trace_id, BillingCurrency
-- column trace_id: the agent task
-- column BillingCurrency: currency of the cost; null when nothing of it was billed yet
-- column started_at: start of its first call, UTC
-- column ended_at: end of its last call, UTC
-- column user_id: who it was for; null when its calls name several or none
-- column customer_id: customer it was for; null when its calls name several or none
-- column llm_calls: calls of models; counted once, on the row of the first currency
-- column agents: distinct agents that made them
-- column input_tokens: tokens read, caches included
-- column output_tokens: tokens written, reasoning included
-- column cost: cost of its calls; idle and shared cost are not in it
-- column provisional_cost: the part of cost that no bill has confirmed yet
with traces as (
    select * from trace_days
),

final as (
    select
        trace_id,
        BillingCurrency,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        case when count(distinct user_id) = 1 then min(user_id) end as user_id,
        case when count(distinct customer_id) = 1 then min(customer_id) end as customer_id,
        cast(sum(llm_calls) as bigint) as llm_calls,
        count(distinct agent) as agents,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        sum(cost) as cost,
        sum(provisional_cost) as provisional_cost
    from traces
    group by all
)

select * from final
