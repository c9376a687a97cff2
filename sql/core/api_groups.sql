-- api_groups: the true-up: how the money of each API pool and model divides into rate and volume, in pico-units.
-- grain: day, pool, currency, provisional, billed_as ('': whatever the bill names no model for)
-- What the bill says beside its models (fees, searches) goes to the groups by their price. Of the money of a group, the
-- vendor's tokens less ours, at the base price (tier standard, short input), are *volume*: nobody logged them, so they go
-- to the requests whose usage is estimated or missing, each up to the mean of the others, and else to nobody. The rest is
-- *rate*: the requests share it by their price. Where we logged more than the vendor, the requests share the bill.
with requests as (
    select * from api_requests
),

prices as (
    select * from settings.request_prices
    where
        tier = 'standard'
        and tokens_over = -1
        and minute_from = 0
),

money as (
    select * from api_money
),

vendors as (
    select * from vendor_days
),

pools as (
    select * from settings.pools
    where kind = 'api'
),

ours as (
    select
        requests.day,
        requests.pool,
        requests.provisional,
        requests.billed_as,
        min(requests.model) as model,
        min(requests.provider) as provider,
        bool_or(requests.has_prices) as has_prices,
        min(requests.currency) as price_currency,
        count(*) as requests,
        sum(requests.input_tokens) as input_tokens,
        sum(requests.cached_input_tokens) as cached_input_tokens,
        sum(requests.cache_write_tokens) as cache_write_tokens,
        sum(requests.cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(requests.output_tokens) as output_tokens,
        sum(requests.pico) as priced_pico,
        count(*) filter (where requests.pico > 0 and requests.usage_quality = 'reported') as reported,
        count(*) filter (where requests.usage_quality <> 'reported') as not_reported,
        count(distinct requests.model) filter (
            where requests.currency is null
            and coalesce(requests.input_tokens, 0) + coalesce(requests.output_tokens, 0) > 0
        ) as unpriced_models,
        min(requests.model) filter (
            where requests.currency is null
            and coalesce(requests.input_tokens, 0) + coalesce(requests.output_tokens, 0) > 0
        ) as unpriced_model,
        sum(
            yocto_to_pico(
                token_yocto(
                    1, requests.input_tokens, requests.cached_input_tokens, requests.cache_write_tokens,
                    requests.cache_write_1h_tokens, requests.output_tokens, 0,
                    prices.request_yocto, prices.input_yocto, prices.cached_input_yocto, prices.cache_write_yocto,
                    prices.cache_write_1h_yocto, prices.output_yocto, prices.reasoning_yocto
                )
            )
        ) as base_pico
    from requests
    left join prices
        on
            requests.provider is not distinct from prices.provider
            and requests.model = prices.model
            and requests.asked_model = prices.asked_model
            and requests.day >= prices.valid_from
            and requests.day < prices.valid_to
    group by all
),

of_pools as (
    select
        ours.*,
        bool_or(billed_as = '') over (partition by day, pool, provisional) as has_others
    from ours
),

-- a model that the bill names and no log has is that of logged names that the bill does not have, if there are any
lines as (
    select
        money.day,
        money.pool,
        money.BillingCurrency,
        money.provisional,
        case
            when money.billed_as is null or not any_of.has_prices then ''
            when named.billed_as is null and any_of.has_others then ''
            else money.billed_as
        end as billed_as,
        money.billed_as as vendor_model,
        money.model,
        money.pico
    from money
    left join of_pools as named
        on
            money.day = named.day
            and money.pool = named.pool
            and money.provisional = named.provisional
            and money.billed_as = named.billed_as
    left join (
        select distinct
            day,
            pool,
            provisional,
            has_prices,
            has_others
        from of_pools
    ) as any_of
        on
            money.day = any_of.day
            and money.pool = any_of.pool
            and money.provisional = any_of.provisional
),

billed as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        billed_as,
        min(model) as billed_model,
        sum(pico) as own_pico
    from lines
    group by all
),

-- where a vendor's tokens belong: to the group of their model, else to the one that has no name
vendor_groups as (
    select distinct
        money.day,
        money.pool,
        money.provisional,
        vendors.provider,
        vendors.billed_as as vendor_model,
        coalesce(lines.billed_as, '') as billed_as
    from (select distinct day, pool, provisional from money) as money
    inner join pools on money.pool = pools.pool
    inner join vendors
        on
            money.day = vendors.day
            and (pools.provider is null or lower(pools.provider) = vendors.provider)
    left join lines
        on
            money.day = lines.day
            and money.pool = lines.pool
            and money.provisional = lines.provisional
            and vendors.billed_as = lines.vendor_model
),

told as (
    select
        vendor_groups.day,
        vendor_groups.pool,
        vendor_groups.provisional,
        vendor_groups.billed_as,
        sum(vendors.requests) as vendor_requests,
        sum(vendors.input_tokens) as vendor_input_tokens,
        sum(vendors.cached_input_tokens) as vendor_cached_input_tokens,
        sum(vendors.cache_write_tokens) as vendor_cache_write_tokens,
        sum(vendors.cache_write_1h_tokens) as vendor_cache_write_1h_tokens,
        sum(vendors.output_tokens) as vendor_output_tokens,
        case when sum(vendors.unpriced_models) = 0 then sum(vendors.base_pico) end as vendor_base_pico
    from vendor_groups
    inner join vendors
        on
            vendor_groups.day = vendors.day
            and vendor_groups.provider = vendors.provider
            and vendor_groups.vendor_model = vendors.billed_as
    group by all
),

joined as (
    select
        billed.* exclude (billed_model),
        coalesce(ours.model, billed.billed_model) as model,
        ours.* exclude (day, pool, provisional, billed_as, model),
        told.* exclude (day, pool, provisional, billed_as)
    from billed
    left join ours
        on
            billed.day = ours.day
            and billed.pool = ours.pool
            and billed.provisional = ours.provisional
            and billed.billed_as = ours.billed_as
    left join told
        on
            billed.day = told.day
            and billed.pool = told.pool
            and billed.provisional = told.provisional
            and billed.billed_as = told.billed_as
),

-- money without a model, where no request is without one either, goes to the models by their price
totals as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        coalesce(sum(own_pico) filter (where billed_as = '' and requests is null), 0) as fee_pico,
        coalesce(sum(priced_pico) filter (where billed_as <> ''), 0) as priced_pico
    from joined
    group by all
),

paid as (
    select
        joined.*,
        case
            when totals.fee_pico = 0 or totals.priced_pico = 0 then joined.own_pico
            when joined.billed_as = '' then 0
            else joined.own_pico + totals.fee_pico * coalesce(joined.priced_pico, 0) // totals.priced_pico
        end as pico
    from joined
    inner join totals
        on
            joined.day = totals.day
            and joined.pool = totals.pool
            and joined.BillingCurrency = totals.BillingCurrency
            and joined.provisional = totals.provisional
),

rated as (
    select
        *,
        case
            when requests is null then 0
            when has_prices and not provisional and pico > 0 and vendor_base_pico > base_pico
                then pico * base_pico // vendor_base_pico
            else pico
        end as rate_pico
    from paid
),

split as (
    select
        *,
        pico - rate_pico as volume_pico,
        case
            when unpriced_models > 0 and has_prices and coalesce(price_currency, BillingCurrency) = BillingCurrency
                then least(rate_pico, coalesce(priced_pico, 0))
            else rate_pico
        end as shared_pico
    from rated
),

final as (
    select
        *,
        rate_pico - shared_pico as unpriced_pico,
        case
            when coalesce(not_reported, 0) = 0 then 0
            when reported = 0 then volume_pico
            else least(volume_pico, greatest(shared_pico, 0) // reported * not_reported)
        end as handed_pico
    from split
)

select * from final
