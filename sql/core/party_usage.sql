-- party_usage: requests and tokens of each day by who made them and what for.
-- grain: day and all ledger columns that describe a request
with requests as (
    select * from day_requests
    where starts_today
),

final as (
    select
        day,
        provider,
        model,
        user_id,
        team_id,
        customer_id,
        feature,
        environment,
        dimensions,
        count(*) as requests,
        count(*) filter (where usage_quality = 'missing') as requests_without_usage,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(cached_input_tokens) as bigint) as cached_input_tokens,
        cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(reasoning_tokens) as bigint) as reasoning_tokens
    from requests
    group by all
)

select * from final
