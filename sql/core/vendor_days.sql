-- vendor_days: the tokens that vendors say were used, by day and model, and what they cost at the base price.
-- grain: day, provider (lower case), billed_as
-- The base price is that of the tier standard and of a short input: it only weighs the classes of tokens. What servers of
-- our own count about themselves is no vendor's statement.
with usage as (
    select
        day,
        provider,
        model,
        sum(requests) as requests,
        sum(input_tokens) as input_tokens,
        sum(cached_input_tokens) as cached_input_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(output_tokens) as output_tokens
    from lake.vendor_usage
    where
        day in (select day from settings.batch_days)
        and lower(provider) <> 'vllm'
        and coalesce(input_tokens, output_tokens) is not null
    group by all
),

names as (
    select * from settings.vendor_names
),

prices as (
    select * from settings.request_prices
    where
        tier = 'standard'
        and tokens_over = -1
        and minute_from = 0
),

final as (
    select
        usage.day,
        lower(usage.provider) as provider,
        names.billed_as,
        min(usage.model) as model,
        sum(usage.requests) as requests,
        sum(usage.input_tokens) as input_tokens,
        sum(usage.cached_input_tokens) as cached_input_tokens,
        sum(usage.cache_write_tokens) as cache_write_tokens,
        sum(usage.cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(usage.output_tokens) as output_tokens,
        count(*) filter (where prices.currency is null) as unpriced_models,
        sum(
            yocto_to_pico(
                token_yocto(
                    coalesce(usage.requests, 0), usage.input_tokens, usage.cached_input_tokens,
                    usage.cache_write_tokens, usage.cache_write_1h_tokens, usage.output_tokens, 0,
                    prices.request_yocto, prices.input_yocto, prices.cached_input_yocto, prices.cache_write_yocto,
                    prices.cache_write_1h_yocto, prices.output_yocto, prices.reasoning_yocto
                )
            )
        ) as base_pico
    from usage
    inner join names
        on
            usage.provider = names.provider
            and usage.model = names.model
    left join prices
        on
            usage.provider = prices.provider
            and usage.model = prices.model
            and usage.model = prices.asked_model
            and usage.day >= prices.valid_from
            and usage.day < prices.valid_to
    group by all
)

select * from final
