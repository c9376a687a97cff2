-- data_quality: how much of cost, GPUs and requests each join matches, day by day.
-- grain: day, subject, measure, unit
-- column day: day, UTC
-- column subject: requests, tokens, gpus, gpu_seconds, busy_seconds, cost or revenue
-- column measure: what is matched, for example 'with a user'
-- column unit: count, seconds, or the currency of money
-- column matched: how much of the total is matched
-- column total: the whole
-- column unmatched: total less matched
-- column matched_share: matched of total; null when there is nothing to match
-- Where nobody named identities, users are not asked for among them. With a reporting currency, cost and revenue of
-- other currencies are matched on the days that have a rate. Tokens of the log may be more than vLLM counted: then other
-- servers serve a model of the same name.
with quality_days as (
    select * from quality_days
    where
        measure not in ('with a user in identities', 'of requests, with a user in identities')
        or exists (select 1 from identities)
),

-- billed time whose list price is known, and in the currency of the bill
priced_days as (
    select
        gpus.day,
        'gpu_seconds' as subject,
        unnest(['billed, with a list price', 'billed, with a list price in the currency of the bill']) as measure,
        'seconds' as unit,
        unnest([
            sum(cast(gpus.gpu_seconds as decimal(38, 12)))
            filter (where prices.list_rate is not null or starts_with(prices.remark, 'the list price is in ')),
            sum(cast(gpus.gpu_seconds as decimal(38, 12))) filter (where prices.list_rate is not null)
        ]) as matched,
        unnest([
            sum(cast(gpus.gpu_seconds as decimal(38, 12))),
            sum(cast(gpus.gpu_seconds as decimal(38, 12)))
            filter (where prices.list_rate is not null or starts_with(prices.remark, 'the list price is in '))
        ]) as total
    from gpu_days as gpus
    inner join gpu_list_price as prices
        on
            gpus.day = prices.day
            and lower(gpus.ResourceId) = prices.ResourceId
            and gpus.BillingCurrency = prices.BillingCurrency
    group by gpus.day
),

foreign_costs as (
    select
        day,
        'cost' as subject,
        'with a rate to ' || reporting_currency as measure,
        BillingCurrency as unit,
        coalesce(sum(cost) filter (where rate is not null), 0) as matched,
        sum(cost) as total
    from reporting_day
    where BillingCurrency <> reporting_currency
    group by all
),

foreign_revenue as (
    select
        revenue.period as day,
        'revenue' as subject,
        'with a rate to ' || rates.reporting_currency as measure,
        revenue.currency as unit,
        coalesce(sum(revenue.amount) filter (where rates.rate is not null), 0) as matched,
        sum(revenue.amount) as total
    from revenue
    inner join reporting_rates as rates
        on
            revenue.period = rates.day
            and revenue.currency = rates.currency
    where revenue.currency <> rates.reporting_currency
    group by all
),

-- what vLLM itself counted is a control of the log, not of a bill
counted_tokens as (
    select
        day,
        lower(model) as model,
        cast(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) as decimal(38, 12)) as tokens
    from vendor_usage
    where provider = 'vllm'
    group by all
),

logged_tokens as (
    select
        day,
        lower(model) as model,
        cast(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) as decimal(38, 12)) as tokens
    from usage_days
    where
        provider is null
        or lower(provider) not in (select lower(provider) from vendor_usage where provider <> 'vllm')
    group by all
),

token_days as (
    select
        counted.day,
        'tokens' as subject,
        'counted by vLLM and in the request log' as measure,
        'count' as unit,
        sum(coalesce(logged.tokens, 0)) as matched,
        sum(counted.tokens) as total
    from counted_tokens as counted
    left join logged_tokens as logged
        on
            counted.day = logged.day
            and counted.model is not distinct from logged.model
    group by counted.day
),

all_days as (
    select * from quality_days
    union all by name
    select * from foreign_costs
    union all by name
    select * from foreign_revenue
    union all by name
    select * from token_days
    union all by name
    select * replace (coalesce(matched, 0) as matched)
    from priced_days
    where total is not null
),

final as (
    select
        day,
        subject,
        measure,
        unit,
        matched,
        total,
        total - matched as unmatched,
        case when total <> 0 then cast(matched as double) / cast(total as double) end as matched_share
    from all_days
)

select * from final
