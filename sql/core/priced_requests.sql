-- priced_requests: the requests to vendor model APIs, each with what it costs at known prices.
-- grain: day, x_source, request_id; pico and currency are null where no price is known; `billed_as` is the model's name
-- whoever names it
-- Answers of a gateway's cache, and requests of own replicas, also of those whose bill is not there yet, are no vendor's.
-- A price is of the model as logged, its tier, the day and minute (UTC) of the start, and the size of the whole input:
-- above a step all tokens cost more.
-- materialized: view
with requests as (
    select
        *,
        price_tier(service_tier) as tier,
        extract(hour from started_at) * 60 + extract(minute from started_at) as minute
    from day_requests
    where
        starts_today
        and not is_cache_hit
),

own_replicas as (
    select distinct
        day,
        replica_id
    from gpu_slots
    where replica_id is not null
),

-- of the providers of API pools only
names as (
    select * from settings.model_names
),

prices as (
    select * from settings.request_prices
),

final as (
    select
        requests.* exclude (
            service_tier, minute, started_us, first_us, ended_us, starts_today, is_cache_hit, party_key,
            is_known_identity
        ),
        prices.currency,
        prices.how,
        prices.price_provider,
        prices.price_model,
        names.billed_as,
        yocto_to_pico(
            token_yocto(
                1, requests.input_tokens, requests.cached_input_tokens, requests.cache_write_tokens,
                requests.cache_write_1h_tokens, requests.output_tokens, requests.reasoning_tokens,
                prices.request_yocto, prices.input_yocto, prices.cached_input_yocto, prices.cache_write_yocto,
                prices.cache_write_1h_yocto, prices.output_yocto, prices.reasoning_yocto
            )
        ) as pico
    from requests
    inner join names
        on
            requests.provider is not distinct from names.provider
            and requests.model = names.model
            and requests.asked_model = names.asked_model
    left join own_replicas
        on
            requests.day = own_replicas.day
            and requests.replica_id = own_replicas.replica_id
    left join prices
        on
            requests.provider is not distinct from prices.provider
            and requests.model = prices.model
            and requests.asked_model = prices.asked_model
            and requests.tier = prices.tier
            and requests.day >= prices.valid_from
            and requests.day < prices.valid_to
            and requests.minute >= prices.minute_from
            and requests.minute < prices.minute_to
            and coalesce(requests.input_tokens, 0) > prices.tokens_over
            and coalesce(requests.input_tokens, 0) <= prices.tokens_upto
    where own_replicas.replica_id is null
)

select * from final
