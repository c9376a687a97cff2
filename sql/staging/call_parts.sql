-- call_parts: log lines of a day that are one call together, as client, gateway and server each wrote theirs; and lines
-- that say less of who asked than the spans around them.
-- grain: day, x_source, request_id; a line that is the only one of its call, and lacks nothing, is not here
-- `call` is the same for all lines of one call; null: finer lines (an attempt and its retry) tell what this one covers,
-- so it is no call of its own. `inwards` counts the lines of a call from the one who asked to the one who answered.
-- Lines are one call when they carry the same id of the answer, or when a span contains just one other that is a request,
-- and they begin within a quarter of an hour of each other. What a gateway answers from its cache carries the id of the
-- answer that was kept, and is a call by itself. A day sees the lines and spans that lived in it.
with recursive batch_days as (
    select * from settings.batch_days
),

requests as (
    select
        requests.* exclude (day),
        batch_days.day,
        hash(requests.x_source, requests.request_id) as line,
        case when not coalesce(requests.gateway_cache_hit, false) then requests.provider_request_id end as answer_id
    from lake.requests as requests
    inner join batch_days
        on
            requests.day <= batch_days.day
            and requests.started_at < batch_days.ended_at
            and coalesce(requests.ended_at, requests.day + 1) >= batch_days.started_at
    where
        requests.provider_request_id is not null
        or coalesce(requests.span_id, requests.parent_span_id) is not null
),

spans as (
    select
        spans.* exclude (day),
        batch_days.day
    from lake.spans as spans
    inner join batch_days
        on
            spans.started_at < batch_days.ended_at
            and coalesce(spans.ended_at, spans.started_at) >= batch_days.started_at
),

parents as (
    select
        day,
        trace_id,
        span_id,
        parent_span_id
    from spans
    where parent_span_id is not null
    union
    select
        day,
        trace_id,
        span_id,
        parent_span_id
    from requests
    where parent_span_id is not null
),

-- from each line up its trace; 64 spans are more than any call has, and end a circle
above as (
    select
        day,
        line,
        trace_id,
        parent_span_id as span_id,
        1 as depth
    from requests
    where parent_span_id is not null
    union
    select
        above.day,
        above.line,
        above.trace_id,
        parents.parent_span_id,
        above.depth + 1
    from above
    inner join parents
        on
            above.day = parents.day
            and above.trace_id = parents.trace_id
            and above.span_id = parents.span_id
    where above.depth < 64
),

containers as (
    select distinct
        requests.day,
        requests.line as outer_line,
        above.line as inner_line,
        inner_lines.started_at <= requests.started_at + interval 15 minutes as is_soon
    from above
    inner join requests
        on
            above.day = requests.day
            and above.trace_id = requests.trace_id
            and above.span_id = requests.span_id
    inner join requests as inner_lines
        on
            above.day = inner_lines.day
            and above.line = inner_lines.line
    where requests.line <> above.line
),

-- of each line that contains others, those that contain none
innermost as (
    select
        day,
        outer_line,
        min(inner_line) as inner_line,
        count(*) > 1 or not bool_and(is_soon) as is_several
    from containers
    where (day, inner_line) not in (select (day, outer_line) from containers)
    group by all
),

tellers as (
    select
        day,
        trace_id,
        span_id,
        user_id,
        team_id,
        customer_id,
        session_id,
        agent,
        feature,
        environment
    from spans
    union all
    select
        day,
        trace_id,
        span_id,
        user_id,
        team_id,
        customer_id,
        session_id,
        agent,
        feature,
        environment
    from requests
    where span_id is not null
),

-- what the nearest span above that says it says
told as (
    select
        above.day,
        above.line,
        arg_min(tellers.user_id, above.depth) as user_id,
        arg_min(tellers.team_id, above.depth) as team_id,
        arg_min(tellers.customer_id, above.depth) as customer_id,
        arg_min(tellers.session_id, above.depth) as session_id,
        arg_min(tellers.agent, above.depth) as agent,
        arg_min(tellers.feature, above.depth) as feature,
        arg_min(tellers.environment, above.depth) as environment
    from above
    inner join tellers
        on
            above.day = tellers.day
            and above.trace_id = tellers.trace_id
            and above.span_id = tellers.span_id
    group by above.day, above.line
),

repeated as (
    select
        day,
        answer_id
    from requests
    where answer_id is not null
    group by all
    having count(*) > 1
),

since_the_last as (
    select
        requests.day,
        requests.line,
        requests.answer_id,
        requests.started_at,
        requests.started_at > lag(requests.started_at) over answers + interval 15 minutes as is_apart
    from requests
    inner join repeated
        on
            requests.day = repeated.day
            and requests.answer_id = repeated.answer_id
    window answers as (
        partition by requests.day, requests.answer_id
        order by requests.started_at, requests.line
    )
),

answers as (
    select
        day,
        line,
        hash(
            answer_id,
            count(*) filter (where is_apart) over (
                partition by day, answer_id
                order by started_at, line
            )
        ) as answer
    from since_the_last
),

lines as (
    select
        requests.day,
        requests.line,
        requests.x_source,
        requests.request_id,
        requests.seen_by,
        requests.started_at,
        requests.ended_at,
        coalesce(innermost.is_several, false) as is_several,
        coalesce(answers.answer, requests.line) as answer,
        coalesce(innermost.inner_line, requests.line) as chain,
        told.* exclude (day, line)
    from requests
    left join innermost
        on
            requests.day = innermost.day
            and requests.line = innermost.outer_line
    left join answers
        on
            requests.day = answers.day
            and requests.line = answers.line
    left join told
        on
            requests.day = told.day
            and requests.line = told.line
),

-- a line may share its answer with one and its chain with another: from there once more by answers, and all are reached
reached_once as (
    select
        *,
        min(least(answer, chain)) over (partition by day, answer) as by_answer
    from lines
    where not is_several
),

reached_twice as (
    select
        *,
        min(by_answer) over (partition by day, chain) as by_chain
    from reached_once
),

called as (
    select
        *,
        min(by_chain) over (partition by day, answer) as call
    from reached_twice
),

counted as (
    select
        *,
        count(*) over (partition by day, call) as lines_of_call
    from called
),

placed as (
    select
        *,
        row_number() over (
            partition by day, call
            order by
                case seen_by when 'client' then 0 when 'gateway' then 1 when 'server' then 3 else 2 end,
                started_at,
                ended_at desc,
                line
        ) as inwards
    from counted
    where
        lines_of_call > 1
        or coalesce(user_id, team_id, customer_id, session_id, agent, feature, environment) is not null
),

several as (
    select
        day,
        x_source,
        request_id,
        started_at
    from lines
    where is_several
),

final as (
    select
        day,
        x_source,
        request_id,
        started_at,
        call,
        inwards,
        user_id,
        team_id,
        customer_id,
        session_id,
        agent,
        feature,
        environment
    from placed
    union all by name
    select * from several
)

select * from final
