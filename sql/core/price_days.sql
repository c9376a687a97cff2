-- price_days: requests to vendor model APIs by model as logged and tier: what their price was taken from, what they cost
-- at it, and what the gateway said.
-- grain: day, provider, model, asked_model, service_tier, how, price_provider, price_model, currency
with requests as (
    select * from priced_requests
),

final as (
    select
        day,
        provider,
        model,
        asked_model,
        tier as service_tier,
        how,
        price_provider,
        price_model,
        currency,
        count(*) as requests,
        count(*) filter (where usage_quality <> 'reported') as requests_not_reported,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(cached_input_tokens) as bigint) as cached_input_tokens,
        cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
        cast(sum(cache_write_1h_tokens) as bigint) as cache_write_1h_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(reasoning_tokens) as bigint) as reasoning_tokens,
        money(cast(sum(pico) as hugeint)) as cost,
        count(*) filter (where reported_cost is not null) as requests_with_reported_cost,
        cast(sum(reported_cost) as decimal(38, 12)) as reported_cost,
        money(cast(sum(pico) filter (where reported_cost is not null) as hugeint)) as compared_cost
    from requests
    group by all
)

select * from final
