-- cell_endpoints: how many requests begin, get their first token and end in each cell, and what is left of the cell then.
-- grain: lane, cell; the difference array that every presence is summed from
with flights as (
    select * from flights
),

build_day as (
    select * from settings.build_day
),

points as (
    select
        lane,
        unnest([0, 1, 2]) as which,
        unnest([s, f, e]) as at_us
    from flights
    where e > s
),

final as (
    select
        points.lane,
        points.at_us // build_day.cell_us as cell,
        count(*) filter (where which = 0) as prefill_starts,
        count(*) filter (where which = 1) as first_tokens,
        count(*) filter (where which = 2) as ends,
        cast(coalesce(sum((cell + 1) * cell_us - at_us) filter (where which = 0), 0) as bigint) as prefill_start_us,
        cast(coalesce(sum((cell + 1) * cell_us - at_us) filter (where which = 1), 0) as bigint) as first_token_us,
        cast(coalesce(sum((cell + 1) * cell_us - at_us) filter (where which = 2), 0) as bigint) as end_us
    from points
    cross join build_day
    group by all
)

select * from final
