-- usage_days: requests and tokens of each day by who made them and what for.
-- grain: day and all ledger columns that describe a request
with final as (
    select * from party_usage
)

select * from final
