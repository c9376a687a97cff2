-- usage_days: requests and tokens of the day by who made them and what for.
-- grain: day and all ledger columns that describe a request
with final as (
    select
        build_day.day,
        party_usage.*
    from party_usage
    cross join settings.build_day as build_day
)

select * from final
