-- model_prices: the known price of each model that the day's requests used, per token in pico-units.
-- grain: provider, model
with used as (
    select distinct
        provider,
        model
    from party_usage
),

build_day as (
    select * from settings.build_day
),

final as (
    select
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
    cross join build_day
    inner join settings.token_prices as prices
        on
            regexp_full_match(used.model, prices.model_pattern, 's')
            and (prices.provider is null or lower(used.provider) = lower(prices.provider))
            and prices.valid_from <= build_day.day
    qualify
        row_number() over (
            partition by used.provider, used.model
            order by prices.valid_from desc, prices.position
        ) = 1
)

select * from final
