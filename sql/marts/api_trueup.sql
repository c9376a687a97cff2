-- api_trueup: the bill of model APIs held against price and usage: how far off each is, by day and model.
-- grain: day, pool, provider, model, BillingCurrency, provisional
-- column day: day, UTC
-- column pool: pool of kind api
-- column provider: provider of the requests, else of the pool
-- column model: model that the bill names; null: all of the pool that it names no model for
-- column BillingCurrency: currency of the bill
-- column provisional: whether no bill has confirmed it yet: then the price is all there is
-- column requests: logged requests
-- column requests_not_reported: those of them whose tokens are estimated or missing
-- column input_tokens: logged input tokens, cache reads and writes included; null: none logged
-- column cached_input_tokens: logged tokens read from a cache
-- column cache_write_tokens: logged tokens written to a cache
-- column cache_write_1h_tokens: logged tokens written for one hour
-- column output_tokens: logged output tokens, reasoning included
-- column vendor_requests: calls that the vendor counted; null: not told
-- column vendor_input_tokens: input tokens that the vendor counted; null: it was not asked
-- column vendor_cached_input_tokens: those of them that were read from a cache
-- column vendor_cache_write_tokens: those of them that were written to a cache
-- column vendor_cache_write_1h_tokens: those of them that were written for one hour
-- column vendor_output_tokens: output tokens that the vendor counted
-- column priced_cost: the logged requests at their price
-- column vendor_priced_cost: what the vendor counted, at the same price; null: it was not asked
-- column billed_cost: what was billed
-- column direct_cost: of it: carried by requests
-- column handed_cost: of that: for use that nobody logged, carried by requests whose tokens are estimated or missing
-- column unexplained_cost: for use that nobody logged, carried by nobody
-- column unpriced_cost: for models that have no price
-- column volume: the vendor's count over ours, both at the price; above 1 something was not logged; null: it was not asked
-- column rate: the bill over the price of what was used; null: no price in the currency of the bill
-- column is_finding: whether one of them is below 0.9 or above 1.1
-- column remark: what the figures do not say by themselves
with days as (
    select * from trueup_days
),

compared as (
    select
        *,
        cast(round(vendor_priced_cost / nullif(priced_cost, 0), 6) as decimal(18, 6)) as volume,
        case
            when price_currency = BillingCurrency and unpriced_cost = 0
                then
                    cast(
                        round(billed_cost / nullif(coalesce(vendor_priced_cost, priced_cost), 0), 6) as decimal(18, 6)
                    )
        end as rate,
        case
            when provisional then 'an estimate: no bill yet'
            when requests = 0 then 'billed, and no request was logged'
            when unpriced_cost <> 0 then 'models without a price'
            when priced_cost is null or price_currency is null then 'no price is known: shared by token weights'
            when price_currency <> BillingCurrency then 'the price is in ' || price_currency
            when vendor_priced_cost is null then 'no usage of the vendor was collected: all of it is rate'
        end as remark
    from days
),

final as (
    select
        day,
        pool,
        provider,
        model,
        BillingCurrency,
        provisional,
        requests,
        requests_not_reported,
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        cache_write_1h_tokens,
        output_tokens,
        vendor_requests,
        vendor_input_tokens,
        vendor_cached_input_tokens,
        vendor_cache_write_tokens,
        vendor_cache_write_1h_tokens,
        vendor_output_tokens,
        priced_cost,
        vendor_priced_cost,
        billed_cost,
        direct_cost,
        handed_cost,
        unexplained_cost,
        unpriced_cost,
        volume,
        rate,
        not provisional and coalesce(greatest(abs(rate - 1), abs(volume - 1)) > 0.1, false) as is_finding,
        remark
    from compared
)

select * from final
