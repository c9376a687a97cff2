-- data_quality: how much of cost, GPUs and requests each join matches, day by day.
-- grain: day, subject, measure, unit
-- column day: day, UTC
-- column subject: requests, gpus, gpu_seconds, busy_seconds or cost
-- column measure: what is matched, for example 'with a user'
-- column unit: count, seconds, or the currency of money
-- column matched: how much of the total is matched
-- column total: the whole
-- column unmatched: total less matched
-- column matched_share: matched of total; null when there is nothing to match
-- Where nobody named identities, users are not asked for among them.
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

measured as (
    select * from quality_days
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
    from measured
)

select * from final
