-- charge_spans: what is spread over time: the bill, and what is known to come and no bill has confirmed yet.
-- grain: as billed_spans, and provisional; billed_model is null where no bill names it
with billed as (
    select
        * exclude (is_usage),
        false as provisional
    from billed_spans
),

resources as (
    select
        * exclude (basis, description),
        true as provisional
    from provisional_resources
),

usage as (
    select
        * exclude (basis),
        true as provisional
    from provisional_usage
),

final as (
    select * from billed
    union all by name
    select * from resources
    union all by name
    select * from usage
)

select * from final
