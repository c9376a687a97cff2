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
    from quality_days
)

select * from final
