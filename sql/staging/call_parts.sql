-- call_parts: log lines of a day that are one call together, as client, gateway and server each wrote theirs; and lines
-- that say less of who asked than the spans around them.
-- grain: day, x_source, request_id; a line that is the only one of its call, and lacks nothing, is not here
-- `call` is the same for all lines of one call; null: finer lines (an attempt and its retry) tell what this one covers,
-- so it is no call of its own. `inwards` counts the lines of a call from the one who asked to the one who answered.
-- Lines are one call when they are the same span, told to several tools, when they carry the same id of the answer, or when
-- a span contains just one other that is a request,
-- and they begin within a quarter of an hour of each other. What a gateway answers from its cache carries the id of the
-- answer that was kept, and is another call: its own, and that of a line with the same id in whose time it fell. A day sees
-- the lines and spans that lived in it.
with recursive batch_days as (
    select * from settings.batch_days
),

logged as (
    select
        requests.* exclude (day),
        batch_days.day,
        hash(requests.x_source, requests.request_id) as line
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

cache_hits as (
    select
        day,
        provider_request_id,
        line,
        started_at
    from logged
    where gateway_cache_hit and provider_request_id is not null
),

-- who asked for what came from a cache saw the id of the kept answer too, and waited while the cache was looked into
answered_from_cache as (
    select
        logged.day,
        logged.line,
        arg_min(cache_hits.line, cache_hits.started_at) as hit
    from logged
    inner join cache_hits
        on
            logged.day = cache_hits.day
            and logged.provider_request_id = cache_hits.provider_request_id
            and cache_hits.started_at between logged.started_at and logged.ended_at
    where not coalesce(logged.gateway_cache_hit, false)
    group by logged.day, logged.line
    union all
    select
        day,
        line,
        line
    from cache_hits
),

-- a span that was exported to several places
exported_again as (
    select
        day,
        trace_id,
        span_id,
        min(line) as node
    from logged
    where trace_id is not null and span_id is not null
    group by all
    having count(*) > 1
),

requests as (
    select
        logged.*,
        coalesce(exported_again.node, logged.line) as node,
        coalesce(answered_from_cache.hit::varchar, logged.provider_request_id) as answer_id
    from logged
    left join answered_from_cache
        on
            logged.day = answered_from_cache.day
            and logged.line = answered_from_cache.line
    left join exported_again
        on
            logged.day = exported_again.day
            and logged.trace_id = exported_again.trace_id
            and logged.span_id = exported_again.span_id
),

-- every span that is known, be it kept as a span, as a request, or as both
spans as (
    select
        batch_days.day,
        trace_id,
        span_id,
        parent_span_id,
        user_id,
        team_id,
        customer_id,
        session_id,
        agent,
        feature,
        environment
    from lake.spans as spans
    inner join batch_days
        on
            spans.started_at < batch_days.ended_at
            and coalesce(spans.ended_at, spans.started_at) >= batch_days.started_at
    union all
    select
        day,
        trace_id,
        span_id,
        parent_span_id,
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

parents as (
    select distinct
        day,
        trace_id,
        span_id,
        parent_span_id
    from spans
    where parent_span_id is not null
),

-- from each line up its trace; 64 spans are more than any call has, and end a circle
above as (
    select
        day,
        node,
        started_at,
        trace_id,
        parent_span_id as span_id,
        1 as depth
    from requests
    where parent_span_id is not null
    union
    select
        above.day,
        above.node,
        above.started_at,
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
    select
        requests.day,
        requests.node as outer_node,
        above.node as inner_node,
        bool_or(above.started_at <= requests.started_at + interval 15 minutes) as is_soon
    from above
    inner join requests
        on
            above.day = requests.day
            and above.trace_id = requests.trace_id
            and above.span_id = requests.span_id
    where requests.node <> above.node
    group by requests.day, requests.node, above.node
),

-- of each line that contains others, those that contain none
innermost as (
    select
        day,
        outer_node,
        min(inner_node) as inner_node,
        count(*) > 1 or not bool_and(is_soon) as is_several
    from containers
    where (day, inner_node) not in (select (day, outer_node) from containers)
    group by all
),

-- what the nearest span above that says it says
told as (
    select
        above.day,
        above.node,
        arg_min(spans.user_id, above.depth) as user_id,
        arg_min(spans.team_id, above.depth) as team_id,
        arg_min(spans.customer_id, above.depth) as customer_id,
        arg_min(spans.session_id, above.depth) as session_id,
        arg_min(spans.agent, above.depth) as agent,
        arg_min(spans.feature, above.depth) as feature,
        arg_min(spans.environment, above.depth) as environment
    from above
    inner join spans
        on
            above.day = spans.day
            and above.trace_id = spans.trace_id
            and above.span_id = spans.span_id
    group by above.day, above.node
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
        coalesce(innermost.inner_node, requests.node) as chain,
        told.* exclude (day, node)
    from requests
    left join innermost
        on
            requests.day = innermost.day
            and requests.node = innermost.outer_node
    left join answers
        on
            requests.day = answers.day
            and requests.line = answers.line
    left join told
        on
            requests.day = told.day
            and requests.node = told.node
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
