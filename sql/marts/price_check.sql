-- price_check: what requests cost at their price beside what a gateway said of them, which is never used.
-- grain: provider, model, service_tier, currency
-- column provider: who served it, as the requests name it
-- column model: the model that answered
-- column service_tier: standard, batch, flex, priority, fast, provisioned, or another name
-- column currency: currency of the price; null: no price is known
-- column first_day: first day, UTC
-- column last_day: last day, UTC
-- column requests: requests of which a gateway said a cost
-- column cost: what these cost at the price; null: no price is known
-- column reported_cost: what the gateway said, in the currency that it counts in, as a rule USD
-- column difference: reported_cost less cost
-- column reported_share: reported_cost over cost; null where one of them is not there or cost is 0
with days as (
    select * from price_days
    where requests_with_reported_cost > 0
),

summed as (
    select
        provider,
        model,
        service_tier,
        currency,
        min(day) as first_day,
        max(day) as last_day,
        cast(sum(requests_with_reported_cost) as bigint) as requests,
        sum(compared_cost) as cost,
        sum(reported_cost) as reported_cost
    from days
    group by all
),

final as (
    select
        *,
        reported_cost - cost as difference,
        cast(round(reported_cost / nullif(cost, 0), 6) as decimal(18, 6)) as reported_share
    from summed
)

select * from final
