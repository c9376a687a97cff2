-- interval_cells: the cells under each telemetry interval, weighted by overlap and by how occupied the cell was.
-- grain: interval_key, cell_key; an interval of any length, also one that is no multiple of the cell
-- Only cells in which somebody was present.
with intervals as (
    select * from lane_intervals
    where busy_ns > 0
),

presence as (
    select
        cell_key,
        prefill_us + decode_us as present_us
    from cell_presence
    where prefill_us + decode_us > 0
),

build as (
    select * from settings.build
),

pieces as (
    select
        intervals.interval_key,
        intervals.busy_ns,
        intervals.from_us,
        intervals.to_us,
        build.cell_us,
        intervals.lane * 131072 as lane_key,
        unnest(
            range(
                intervals.lane * 131072 + intervals.from_us // build.cell_us,
                intervals.lane * 131072 + (intervals.to_us - 1) // build.cell_us + 1
            )
        ) as cell_key
    from intervals
    cross join build
),

final as (
    select
        pieces.interval_key,
        pieces.busy_ns,
        pieces.cell_key,
        least(pieces.cell_us, presence.present_us)
        * (
            least(pieces.to_us, (pieces.cell_key - pieces.lane_key + 1) * pieces.cell_us)
            - greatest(pieces.from_us, (pieces.cell_key - pieces.lane_key) * pieces.cell_us)
        )
        // pieces.cell_us as occupied_us
    from pieces
    inner join presence on pieces.cell_key = presence.cell_key
)

select * from final
