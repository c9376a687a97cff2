-- cell_prices: what it costs to be in prefill or in decode for a whole cell, and the sum of that over the lane's cells before.
-- grain: cell_key = lane * 131072 + cell, for each in which a request begins, gets its first token or ends
-- A price is kept as pico-units per microsecond and the rest (of a cell), so that price x time stays in 64 bits.
-- Prefill takes its part of the busy time first; decode shares the rest. Nobody takes more than the time present. For
-- each request that begins in the cell one pico-unit is kept back, so that rounding can never hand out more than there is.
-- One running sum for sixteen lanes, as in cell_presence; what the lanes before came to is taken off again.
with presence as (
    select * from cell_presence
),

busy as (
    select * from cell_busy
),

hours as (
    select
        lane * 24 + hour as hour_key,
        cast(abs(busy_pico) as bigint) as hour_pico,
        busy_ns as hour_ns,
        case when busy_pico < 0 then -1 else 1 end as sign
    from lane_hours
    where busy_ns > 0
),

build as (
    select * from settings.build
),

timed as (
    select
        presence.cell_key,
        presence.changed_key,
        presence.prefill_starts,
        presence.first_tokens,
        presence.prefill_us,
        presence.decode_us,
        build.cell_us,
        coalesce(busy.busy_ns, 0) as busy_ns,
        case
            when presence.decode_us = 0 then coalesce(busy.busy_ns, 0)
            else least(presence.prefill_us * 1000, coalesce(busy.busy_ns, 0))
        end as prefill_busy_ns,
        -- an hour without busy time has no price
        coalesce(hours.hour_pico, 0) as hour_pico,
        coalesce(hours.hour_ns, 1) as hour_ns,
        coalesce(hours.sign, 1) as sign
    from presence
    cross join build
    left join busy on presence.cell_key = busy.cell_key
    left join hours
        on
            presence.cell_key // 131072 * 24 + presence.cell_key % 131072 * build.cell_us // 3600000000
            = hours.hour_key
),

rated as materialized (
    select
        *,
        case
            when prefill_us > 0 then least(cell_us * 1000, mul_div(cell_us, prefill_busy_ns, prefill_us))
        end as prefill_ns,
        case
            when decode_us > 0 then least(cell_us * 1000, mul_div(cell_us, busy_ns - prefill_busy_ns, decode_us))
        end as decode_ns
    from timed
),

priced as (
    select
        cell_key,
        changed_key,
        case
            when prefill_us = 0 then 0
            else sign * greatest(
                mul_div(prefill_ns, hour_pico, hour_ns) - (prefill_starts * cell_us + prefill_us - 1) // prefill_us, 0
            )
        end as prefill_pico,
        case
            when decode_us = 0 then 0
            else sign * greatest(
                mul_div(decode_ns, hour_pico, hour_ns) - (first_tokens * cell_us + decode_us - 1) // decode_us, 0
            )
        end as decode_pico
    from rated
),

runs as (
    select
        changed_key as cell_key,
        cast(sum(prefill_pico) filter (where cell_key = changed_key) as bigint) as prefill_pico,
        cast(sum(decode_pico) filter (where cell_key = changed_key) as bigint) as decode_pico,
        cast(sum(prefill_pico) as bigint) as prefill_of_run,
        cast(sum(decode_pico) as bigint) as decode_of_run
    from priced
    group by all
),

lane_sums as (
    select
        cell_key // 131072 as lane,
        sum(prefill_of_run) as prefill_pico,
        sum(decode_of_run) as decode_pico
    from runs
    group by all
),

lanes as (
    select
        lane,
        sum(prefill_pico) over so_far - prefill_pico as prefill_before,
        sum(decode_pico) over so_far - decode_pico as decode_before
    from lane_sums
    window so_far as (
        partition by lane // 16 order by lane rows between unbounded preceding and current row
    )
),

summed as (
    select
        *,
        sum(prefill_of_run) over so_far as prefill_after,
        sum(decode_of_run) over so_far as decode_after
    from runs
    window so_far as (
        partition by cell_key // 2097152 order by cell_key rows between unbounded preceding and current row
    )
),

final as (
    select
        summed.cell_key,
        summed.prefill_pico // build.cell_us as prefill_rate,
        summed.prefill_pico % build.cell_us as prefill_rest,
        summed.decode_pico // build.cell_us as decode_rate,
        summed.decode_pico % build.cell_us as decode_rest,
        cast(summed.prefill_after - summed.prefill_of_run - lanes.prefill_before as bigint) as prefill_before,
        cast(summed.decode_after - summed.decode_of_run - lanes.decode_before as bigint) as decode_before
    from summed
    cross join build
    inner join lanes on summed.cell_key // 131072 = lanes.lane
)

select * from final
