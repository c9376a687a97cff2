-- cell_prices: what it costs to be in prefill or in decode for a whole cell, and the sum of that over all cells before.
-- grain: cell_key = lane * 131072 + cell, for the cells of cell_presence: whatever moment of a request is asked for is there
-- A price is kept as pico-units per microsecond and the rest (of a cell), so that price x time stays in 64 bits.
-- Prefill takes its part of the busy time first; decode shares the rest. Nobody takes more than the time present. For
-- each request that begins in the cell one pico-unit is kept back, so that rounding can never hand out more than there is.
with presence as (
    select * from cell_presence
),

busy as (
    select * from cell_busy
),

lane_hours as (
    select * from lane_hours
),

build as (
    select * from settings.build
),

timed as (
    select
        presence.lane,
        presence.cell,
        presence.prefill_starts,
        presence.first_tokens,
        presence.prefill_us,
        presence.decode_us,
        build.cell_us,
        cast(build.cell_us as hugeint) * 1000 as cell_ns,
        cast(coalesce(busy.busy_ns, 0) as hugeint) as busy_ns,
        case
            when presence.decode_us = 0 then coalesce(busy.busy_ns, 0)
            else least(cast(presence.prefill_us as hugeint) * 1000, coalesce(busy.busy_ns, 0))
        end as prefill_busy_ns,
        -- an hour without busy time has no price
        case when lane_hours.busy_ns > 0 then abs(lane_hours.busy_pico) else 0 end as hour_pico,
        case when lane_hours.busy_ns > 0 then lane_hours.busy_ns else 1 end as hour_ns,
        case when lane_hours.busy_pico < 0 then -1 else 1 end as sign
    from presence
    cross join build
    left join busy
        on
            presence.lane = busy.lane
            and presence.cell = busy.cell
    left join lane_hours
        on
            presence.lane = lane_hours.lane
            and presence.cell * build.cell_us // 3600000000 = lane_hours.hour
),

rated as (
    select
        *,
        case
            when prefill_us > 0 then least(cell_ns, cell_ns * prefill_busy_ns // (prefill_us * 1000))
        end as prefill_ns,
        case
            when decode_us > 0 then least(cell_ns, cell_ns * (busy_ns - prefill_busy_ns) // (decode_us * 1000))
        end as decode_ns
    from timed
),

priced as (
    select
        lane,
        cell,
        case
            when prefill_us = 0 then 0
            else cast(
                sign * greatest(
                    prefill_ns * hour_pico // hour_ns - (prefill_starts * cell_us + prefill_us - 1) // prefill_us, 0
                ) as bigint
            )
        end as prefill_pico,
        case
            when decode_us = 0 then 0
            else cast(
                sign * greatest(
                    decode_ns * hour_pico // hour_ns - (first_tokens * cell_us + decode_us - 1) // decode_us, 0
                ) as bigint
            )
        end as decode_pico
    from rated
),

summed as (
    select
        *,
        sum(prefill_pico) over so_far as prefill_after,
        sum(decode_pico) over so_far as decode_after
    from priced
    window so_far as (partition by lane order by cell rows between unbounded preceding and current row)
),

final as (
    select
        summed.lane * 131072 + summed.cell as cell_key,
        cast(summed.prefill_pico // build.cell_us as bigint) as prefill_rate,
        cast(summed.prefill_pico % build.cell_us as bigint) as prefill_rest,
        cast(summed.decode_pico // build.cell_us as bigint) as decode_rate,
        cast(summed.decode_pico % build.cell_us as bigint) as decode_rest,
        cast(summed.prefill_after - summed.prefill_pico as bigint) as prefill_before,
        cast(summed.decode_after - summed.decode_pico as bigint) as decode_before
    from summed
    cross join build
)

select * from final
