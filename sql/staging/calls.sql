-- calls: every call once, whoever logged it.
-- grain: x_source, request_id
-- materialized: view
with final as (
    select * exclude (x_load)
    from lake.requests
    anti join call_parts using (x_source, request_id)
    union all by name
    select * from merged_calls
)

select
    *,
    ledger_dimensions(tags) as dimensions
from final
