-- price_match: what each model of vendor APIs, as the logs name it, was priced as.
-- grain: provider, model, asked_model, service_tier, how, price_provider, price_model, currency
-- column provider: who served it, as the requests name it
-- column model: the model that answered
-- column asked_model: the model that was asked for
-- column service_tier: standard, batch, flex, priority, fast, provisioned; another name has no price
-- column how: which name had the price: model that answered, model that was asked for, alias; configured price, provisioned capacity; null: none
-- column price_provider: provider of the entry in the price table; null: configured, or no price
-- column price_model: model of the entry in the price table; null: configured, or no price
-- column currency: currency of the price; null: no price is known
-- column first_day: first day on which it was used, UTC
-- column last_day: last day on which it was used, UTC
-- column requests: requests
-- column input_tokens: tokens read, cache reads and writes included
-- column output_tokens: tokens written, reasoning included
-- column cost: what they cost at the price; null: no price is known, which is not 0
with days as (
    select * from price_days
),

final as (
    select
        provider,
        model,
        asked_model,
        service_tier,
        how,
        price_provider,
        price_model,
        currency,
        min(day) as first_day,
        max(day) as last_day,
        cast(sum(requests) as bigint) as requests,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        sum(cost) as cost
    from days
    group by all
)

select * from final
