-- cell_busy: the busy nanoseconds of a replica in each cell, spread over the cells in which somebody was present.
-- grain: lane, cell
with cells as (
    select * from interval_cells
),

totals as (
    select
        lane,
        hour,
        from_us,
        to_us,
        sum(occupied_us) as occupied_us
    from cells
    group by all
    having sum(occupied_us) > 0
),

final as (
    select
        cells.lane,
        cells.cell,
        cast(sum(cast(cells.busy_ns as hugeint) * cells.occupied_us // totals.occupied_us) as bigint) as busy_ns
    from cells
    inner join totals
        on
            cells.lane = totals.lane
            and cells.hour = totals.hour
            and cells.from_us = totals.from_us
            and cells.to_us = totals.to_us
    where cells.occupied_us > 0
    group by all
)

select * from final
