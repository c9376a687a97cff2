-- interval_cells: the cells under each telemetry interval, weighted by overlap and by how occupied the cell was.
-- grain: lane, hour, from_us, to_us, cell; an interval of any length, also one that is no multiple of the cell
-- Only cells in which somebody was present.
with intervals as (
    select * from lane_intervals
    where busy_ns > 0
),

presence as (
    select * from cell_presence
    where prefill_us + decode_us > 0
),

build as (
    select * from settings.build
),

pieces as (
    select
        intervals.*,
        build.cell_us,
        unnest(range(from_us // cell_us, (to_us - 1) // cell_us + 1)) as cell
    from intervals
    cross join build
),

final as (
    select
        pieces.lane,
        pieces.method,
        pieces.hour,
        pieces.from_us,
        pieces.to_us,
        pieces.busy_ns,
        pieces.cell,
        least(pieces.cell_us, presence.prefill_us + presence.decode_us)
        * (
            least(pieces.to_us, (pieces.cell + 1) * pieces.cell_us)
            - greatest(pieces.from_us, pieces.cell * pieces.cell_us)
        )
        // pieces.cell_us as occupied_us
    from pieces
    inner join presence
        on
            pieces.lane = presence.lane
            and pieces.cell = presence.cell
)

select * from final
