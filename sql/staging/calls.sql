-- calls: every call that lived in a day of the batch, once, whoever logged it.
-- grain: day, x_source, request_id; a call that lived in two days is in both
-- One without an end may live on into the next day and no further.
-- materialized: view
with batch_days as (
    select * from settings.batch_days
),

lines as (
    select
        requests.* exclude (day, x_load),
        batch_days.day
    from lake.requests as requests
    inner join batch_days
        on
            requests.day <= batch_days.day
            and requests.started_at < batch_days.ended_at
            and coalesce(requests.ended_at, requests.day + 1) >= batch_days.started_at
),

final as (
    select *
    from lines
    anti join call_parts using (day, x_source, request_id)
    union all by name
    select * from merged_calls
)

select * from final
