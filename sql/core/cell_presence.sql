-- cell_presence: microseconds of prefill and of decode present in each cell, by running sums over the endpoints.
-- grain: lane, cell, on a dense grid of the day (one cell more: requests that end with the day)
with endpoints as (
    select * from cell_endpoints
),

build_day as (
    select * from settings.build_day
),

grid as (
    select
        lanes.lane,
        build_day.cell_us,
        unnest(range(0, (build_day.end_us - build_day.start_us) // build_day.cell_us + 1)) as cell
    from lanes
    cross join build_day
),

counted as (
    select
        grid.lane,
        grid.cell,
        grid.cell_us,
        coalesce(endpoints.prefill_starts, 0) as prefill_starts,
        coalesce(endpoints.first_tokens, 0) as first_tokens,
        coalesce(endpoints.ends, 0) as ends,
        coalesce(endpoints.prefill_start_us, 0) as prefill_start_us,
        coalesce(endpoints.first_token_us, 0) as first_token_us,
        coalesce(endpoints.end_us, 0) as end_us
    from grid
    left join endpoints
        on
            grid.lane = endpoints.lane
            and grid.cell = endpoints.cell
),

running as (
    select
        *,
        cast(coalesce(sum(prefill_starts - first_tokens) over before, 0) as bigint) as in_prefill,
        cast(coalesce(sum(first_tokens - ends) over before, 0) as bigint) as in_decode
    from counted
    window before as (partition by lane order by cell rows between unbounded preceding and 1 preceding)
),

final as (
    select
        lane,
        cell,
        prefill_starts,
        first_tokens,
        cell_us * in_prefill + prefill_start_us - first_token_us as prefill_us,
        cell_us * in_decode + first_token_us - end_us as decode_us
    from running
)

select * from final
