-- cell_presence: microseconds of prefill and of decode present in each cell, by running sums over the endpoints.
-- grain: lane, cell, on a dense grid of the day (one cell more: requests that end with the day)
-- One running sum for each lane: a fleet's cells together would not fit into memory.
with starts as (
    select * from cell_endpoints
    where endpoint = 'start'
),

first_tokens as (
    select * from cell_endpoints
    where endpoint = 'first token'
),

ends as (
    select * from cell_endpoints
    where endpoint = 'end'
),

build_day as (
    select * from settings.build_day
),

cells as (
    select
        lanes.lane,
        build_day.cell_us,
        unnest(range(0, (build_day.end_us - build_day.start_us) // build_day.cell_us + 1)) as cell
    from lanes
    cross join build_day
),

grid as (
    select
        *,
        lane * 131072 + cell as cell_key
    from cells
),

counted as (
    select
        grid.lane,
        grid.cell,
        grid.cell_us,
        coalesce(starts.requests, 0) as prefill_starts,
        coalesce(first_tokens.requests, 0) as first_tokens,
        coalesce(ends.requests, 0) as ends,
        coalesce(starts.requests * grid.cell_us - starts.into_us, 0) as prefill_start_us,
        coalesce(first_tokens.requests * grid.cell_us - first_tokens.into_us, 0) as first_token_us,
        coalesce(ends.requests * grid.cell_us - ends.into_us, 0) as end_us
    from grid
    left join starts on grid.cell_key = starts.cell_key
    left join first_tokens on grid.cell_key = first_tokens.cell_key
    left join ends on grid.cell_key = ends.cell_key
),

changes as (
    select
        lane,
        cell,
        cell_us,
        prefill_starts,
        first_tokens,
        prefill_starts - first_tokens as joining_prefill,
        first_tokens - ends as joining_decode,
        prefill_start_us - first_token_us as prefill_rest_us,
        first_token_us - end_us as decode_rest_us
    from counted
),

running as (
    select
        *,
        cast(sum(joining_prefill) over so_far as bigint) - joining_prefill as in_prefill,
        cast(sum(joining_decode) over so_far as bigint) - joining_decode as in_decode
    from changes
    window so_far as (partition by lane order by cell rows between unbounded preceding and current row)
),

final as (
    select
        lane,
        cell,
        prefill_starts,
        first_tokens,
        cell_us * in_prefill + prefill_rest_us as prefill_us,
        cell_us * in_decode + decode_rest_us as decode_us
    from running
)

select * from final
