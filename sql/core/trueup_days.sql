-- trueup_days: the bill of model APIs beside the logged requests and the vendor's own count, by day and model.
-- grain: day, pool, provider, model, currency, provisional
with groups as (
    select * from api_groups
),

pools as (
    select * from settings.pools
),

final as (
    select
        groups.day,
        groups.pool,
        coalesce(groups.provider, pools.provider) as provider,
        case when groups.billed_as <> '' then groups.model end as model,
        groups.BillingCurrency,
        groups.provisional,
        cast(coalesce(groups.requests, 0) as bigint) as requests,
        cast(coalesce(groups.not_reported, 0) as bigint) as requests_not_reported,
        cast(groups.input_tokens as bigint) as input_tokens,
        cast(groups.cached_input_tokens as bigint) as cached_input_tokens,
        cast(groups.cache_write_tokens as bigint) as cache_write_tokens,
        cast(groups.cache_write_1h_tokens as bigint) as cache_write_1h_tokens,
        cast(groups.output_tokens as bigint) as output_tokens,
        cast(groups.vendor_requests as bigint) as vendor_requests,
        cast(groups.vendor_input_tokens as bigint) as vendor_input_tokens,
        cast(groups.vendor_cached_input_tokens as bigint) as vendor_cached_input_tokens,
        cast(groups.vendor_cache_write_tokens as bigint) as vendor_cache_write_tokens,
        cast(groups.vendor_cache_write_1h_tokens as bigint) as vendor_cache_write_1h_tokens,
        cast(groups.vendor_output_tokens as bigint) as vendor_output_tokens,
        groups.price_currency,
        money(cast(groups.priced_pico as hugeint)) as priced_cost,
        money(
            cast(
                case
                    when groups.base_pico > 0
                        then groups.priced_pico * groups.vendor_base_pico // groups.base_pico
                end as hugeint
            )
        ) as vendor_priced_cost,
        money(cast(groups.pico as hugeint)) as billed_cost,
        money(cast(groups.shared_pico + groups.handed_pico as hugeint)) as direct_cost,
        money(cast(groups.handed_pico as hugeint)) as handed_cost,
        money(cast(groups.volume_pico - groups.handed_pico as hugeint)) as unexplained_cost,
        money(cast(groups.unpriced_pico as hugeint)) as unpriced_cost
    from groups
    inner join pools on groups.pool = pools.pool
    where
        groups.pico <> 0
        or groups.requests > 0
)

select * from final
