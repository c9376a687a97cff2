-- api_bill_ends: up to when the bill of each API pool speaks of its use; null where there is no bill of it.
-- grain: pool
with pools as (
    select * from settings.pools
    where kind = 'api'
),

spans as (
    select * from billed_spans
    where is_usage
),

final as (
    select
        pools.pool,
        max(spans.end_us) as until_us
    from pools
    left join spans on pools.pool = spans.pool
    group by all
)

select * from final
