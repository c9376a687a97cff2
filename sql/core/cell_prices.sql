-- cell_prices: what it costs to be in prefill or in decode for a whole cell, and the sum of that over all cells before.
-- grain: cell_key = lane * 131072 + cell
-- A price is kept as pico-units per microsecond and the rest (of a cell), so that price x time stays in 64 bits.
-- Prefill takes its part of the busy time first; decode shares the rest. Nobody takes more than the time present. For
-- each request that begins in the cell one pico-unit is kept back, so that rounding can never hand out more than there is.
-- Only busy cells have a price and are summed; those up to the next one cost nothing.
with presence as (
    select * from cell_presence
),

busy as (
    select * from cell_busy
),

lane_hours as (
    select * from lane_hours
),

build_day as (
    select * from settings.build_day
),

timed as (
    select
        presence.lane,
        presence.cell,
        presence.prefill_starts,
        presence.first_tokens,
        presence.prefill_us,
        presence.decode_us,
        build_day.cell_us,
        cast(build_day.cell_us as hugeint) * 1000 as cell_ns,
        cast(busy.busy_ns as hugeint) as busy_ns,
        case
            when presence.decode_us = 0 then busy.busy_ns
            else least(cast(presence.prefill_us as hugeint) * 1000, busy.busy_ns)
        end as prefill_busy_ns,
        coalesce(abs(lane_hours.busy_pico), 0) as hour_pico,
        coalesce(lane_hours.busy_ns, 1) as hour_ns,
        case when lane_hours.busy_pico < 0 then -1 else 1 end as sign
    from busy
    inner join presence
        on
            busy.lane = presence.lane
            and busy.cell = presence.cell
    cross join build_day
    left join lane_hours
        on
            presence.lane = lane_hours.lane
            and presence.cell * build_day.cell_us // 3600000000 = lane_hours.hour
),

rated as (
    select
        *,
        case
            when prefill_us > 0 then least(cell_ns, cell_ns * prefill_busy_ns // (prefill_us * 1000)) else 0
        end as prefill_ns,
        case
            when decode_us > 0 then least(cell_ns, cell_ns * (busy_ns - prefill_busy_ns) // (decode_us * 1000)) else 0
        end as decode_ns
    from timed
),

priced as (
    select
        lane,
        cell,
        sign * greatest(
            prefill_ns * hour_pico // hour_ns
            - case when prefill_us > 0 then (prefill_starts * cell_us + prefill_us - 1) // prefill_us else 0 end,
            0
        ) as prefill_pico,
        sign * greatest(
            decode_ns * hour_pico // hour_ns
            - case when decode_us > 0 then (first_tokens * cell_us + decode_us - 1) // decode_us else 0 end,
            0
        ) as decode_pico
    from rated
),

steps as (
    select * from priced
    union all by name
    -- before the first busy cell of a lane all is free
    select
        lane,
        -1 as cell,
        0 as prefill_pico,
        0 as decode_pico
    from lanes
),

running as (
    select
        steps.lane,
        steps.cell,
        cast(steps.prefill_pico // build_day.cell_us as bigint) as prefill_rate,
        cast(steps.prefill_pico % build_day.cell_us as bigint) as prefill_rest,
        cast(steps.decode_pico // build_day.cell_us as bigint) as decode_rate,
        cast(steps.decode_pico % build_day.cell_us as bigint) as decode_rest,
        cast(sum(steps.prefill_pico) over so_far as bigint) as prefill_after,
        cast(sum(steps.decode_pico) over so_far as bigint) as decode_after,
        cast(sum(steps.prefill_pico) over so_far - steps.prefill_pico as bigint) as prefill_before,
        cast(sum(steps.decode_pico) over so_far - steps.decode_pico as bigint) as decode_before,
        coalesce(
            lead(steps.cell) over (partition by steps.lane order by steps.cell),
            (build_day.end_us - build_day.start_us) // build_day.cell_us + 1
        ) as next_cell
    from steps
    cross join build_day
    window so_far as (partition by steps.lane order by steps.cell rows between unbounded preceding and current row)
),

filled as (
    select
        *,
        unnest(range(greatest(cell, 0), next_cell)) as grid_cell
    from running
),

final as (
    select
        lane * 131072 + grid_cell as cell_key,
        case when grid_cell = cell then prefill_rate else 0 end as prefill_rate,
        case when grid_cell = cell then prefill_rest else 0 end as prefill_rest,
        case when grid_cell = cell then decode_rate else 0 end as decode_rate,
        case when grid_cell = cell then decode_rest else 0 end as decode_rest,
        case when grid_cell = cell then prefill_before else prefill_after end as prefill_before,
        case when grid_cell = cell then decode_before else decode_after end as decode_before
    from filled
)

select * from final
