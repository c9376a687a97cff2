-- model_prices: the known price of each model that requests used on a day, per token in pico-units.
-- grain: day, provider, model
with used as (
    select distinct
        day,
        provider,
        model
    from party_usage
),

final as (
    select
        used.day,
        used.provider,
        used.model,
        prices.currency,
        prices.request_pico,
        prices.input_pico,
        prices.cached_input_pico,
        prices.cache_write_pico,
        prices.cache_write_1h_pico,
        prices.output_pico
    from used
    inner join settings.token_prices as prices
        on
            regexp_full_match(used.model, prices.model_pattern, 's')
            and (prices.provider is null or lower(used.provider) = lower(prices.provider))
            and prices.valid_from <= used.day
    qualify
        row_number() over (
            partition by used.day, used.provider, used.model
            order by prices.valid_from desc, prices.position
        ) = 1
)

select * from final
