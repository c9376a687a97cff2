-- cell_busy: the busy nanoseconds of a replica in each cell, spread over the cells in which somebody was present.
-- grain: cell_key
with cells as (
    select * from interval_cells
    where occupied_us > 0
),

totals as (
    select
        interval_key,
        cast(sum(occupied_us) as bigint) as occupied_us
    from cells
    group by all
),

final as (
    select
        cells.cell_key,
        cast(sum(mul_div(cells.busy_ns, cells.occupied_us, totals.occupied_us)) as bigint) as busy_ns
    from cells
    inner join totals on cells.interval_key = totals.interval_key
    group by all
)

select * from final
