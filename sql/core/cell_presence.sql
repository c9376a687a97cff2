-- cell_presence: microseconds of prefill and of decode present in each cell, by running sums over the endpoints.
-- grain: cell_key = lane * 131072 + cell: the cells with somebody in them, and each in which a request begins, gets its
-- first token or ends (also the one after the day's last: requests that end with the day)
-- Only the latter, changed_key, are summed; the cells up to the next of them are as full as it was left. Sixteen lanes
-- share a running sum, which is back at zero at the end of each: the sum of a fleet would not fit into memory, and short
-- sums are slow.
with build as (
    select * from settings.build
),

endpoints as (
    select * from cell_endpoints
),

changes as (
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

running as (
    select
        *,
        cast(sum(prefill_starts - first_tokens) over so_far as bigint) as in_prefill,
        cast(sum(first_tokens - ends) over so_far as bigint) as in_decode,
        lead(cell_key) over (partition by cell_key // 2097152 order by cell_key) as next_key
    from changes
    window so_far as (
        partition by cell_key // 2097152 order by cell_key rows between unbounded preceding and current row
    )
),

filled as (
    select
        * exclude (cell_key),
        cell_key as changed_key,
        unnest(range(cell_key, case when in_prefill + in_decode > 0 then next_key else cell_key + 1 end)) as cell_key
    from running
),

final as (
    select
        filled.cell_key,
        filled.changed_key,
        case when cell_key = changed_key then prefill_starts else 0 end as prefill_starts,
        case when cell_key = changed_key then first_tokens else 0 end as first_tokens,
        build.cell_us * in_prefill
        + case when cell_key = changed_key then first_token_into_us - prefill_start_into_us else 0 end as prefill_us,
        build.cell_us * in_decode
        + case when cell_key = changed_key then end_into_us - first_token_into_us else 0 end as decode_us
    from filled
    cross join build
)

select * from final
