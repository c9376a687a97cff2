-- same_calls: the log lines of a day that are part of a call that counts under another line, and under which.
-- grain: day, x_source, request_id
-- `call_source` and `call_request_id` are null where finer lines, each a call of its own, tell what the line covers.
with batch_days as (
    select * from settings.batch_days
),

parts as (
    select * from call_parts
),

final as (
    select
        parts.day,
        parts.x_source,
        parts.request_id,
        firsts.x_source as call_source,
        firsts.request_id as call_request_id
    from parts
    inner join batch_days
        on
            parts.day = batch_days.day
            and parts.started_at >= batch_days.started_at
    left join parts as firsts
        on
            parts.day = firsts.day
            and parts.call = firsts.call
            and firsts.inwards = 1
    where
        parts.call is null
        or parts.inwards > 1
)

select * from final
