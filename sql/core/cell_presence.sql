-- cell_presence: microseconds of prefill and of decode present in each cell, by running sums over the endpoints.
-- grain: lane, cell: those with somebody in them, and each in which a request begins, gets its first token or ends (also
-- the one after the day's last: requests that end with the day)
-- Only the latter are summed; cells up to the next of them are as full as it was left. One running sum for each lane: a
-- fleet's cells together would not fit into memory.
with build as (
    select * from settings.build
),

endpoints as (
    select * from cell_endpoints
),

counted as (
    select
        cell_key,
        cast(coalesce(sum(requests) filter (where endpoint = 'start'), 0) as bigint) as prefill_starts,
        cast(coalesce(sum(requests) filter (where endpoint = 'first token'), 0) as bigint) as first_tokens,
        cast(coalesce(sum(requests) filter (where endpoint = 'end'), 0) as bigint) as ends,
        cast(coalesce(sum(into_us) filter (where endpoint = 'start'), 0) as bigint) as prefill_start_into_us,
        cast(coalesce(sum(into_us) filter (where endpoint = 'first token'), 0) as bigint) as first_token_into_us,
        cast(coalesce(sum(into_us) filter (where endpoint = 'end'), 0) as bigint) as end_into_us
    from endpoints
    group by all
),

changes as (
    select
        counted.cell_key // 131072 as lane,
        counted.cell_key % 131072 as cell,
        build.cell_us,
        counted.prefill_starts,
        counted.first_tokens,
        counted.prefill_starts - counted.first_tokens as joining_prefill,
        counted.first_tokens - counted.ends as joining_decode,
        counted.first_token_into_us - counted.prefill_start_into_us as prefill_into_us,
        counted.end_into_us - counted.first_token_into_us as decode_into_us
    from counted
    cross join build
),

running as (
    select
        *,
        cast(sum(joining_prefill) over so_far as bigint) as in_prefill,
        cast(sum(joining_decode) over so_far as bigint) as in_decode,
        lead(cell) over (partition by lane order by cell) as next_cell
    from changes
    window so_far as (partition by lane order by cell rows between unbounded preceding and current row)
),

filled as (
    select
        * exclude (cell),
        cell as changed_cell,
        unnest(range(cell, case when in_prefill + in_decode > 0 then next_cell else cell + 1 end)) as cell
    from running
),

final as (
    select
        lane,
        cell,
        case when cell = changed_cell then prefill_starts else 0 end as prefill_starts,
        case when cell = changed_cell then first_tokens else 0 end as first_tokens,
        cell_us * in_prefill + case when cell = changed_cell then prefill_into_us else 0 end as prefill_us,
        cell_us * in_decode + case when cell = changed_cell then decode_into_us else 0 end as decode_us
    from filled
)

select * from final
