-- lane_gaps: for how long somebody was in flight in the gaps of telemetry, by the lanes that share them by residence.
-- grain: lane, hour, from_us, to_us; gpus: how many of the replica have this gap; occupied_us of the time between
with gaps as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        replica_id,
        hour,
        from_us,
        to_us,
        count(*) as gpus
    from slot_gaps
    group by all
),

lanes as (
    select * from lanes
    where method = 'residence'
),

presence as (
    select * from cell_presence
),

build as (
    select * from settings.build
),

pieces as (
    select
        lanes.lane,
        gaps.hour,
        gaps.from_us,
        gaps.to_us,
        gaps.gpus,
        build.cell_us,
        unnest(range(gaps.from_us // build.cell_us, (gaps.to_us - 1) // build.cell_us + 1)) as cell
    from gaps
    inner join lanes
        on
            gaps.day = lanes.day
            and gaps.pool = lanes.pool
            and gaps.BillingCurrency = lanes.BillingCurrency
            and gaps.provisional = lanes.provisional
            and gaps.replica_id = lanes.replica_id
    cross join build
),

final as (
    select
        pieces.lane,
        pieces.hour,
        pieces.from_us,
        pieces.to_us,
        pieces.gpus,
        cast(
            sum(
                cast(least(pieces.cell_us, presence.prefill_us + presence.decode_us) as hugeint)
                * (
                    least(pieces.to_us, (pieces.cell + 1) * pieces.cell_us)
                    - greatest(pieces.from_us, pieces.cell * pieces.cell_us)
                )
                // pieces.cell_us
            ) as bigint
        ) as occupied_us
    from pieces
    inner join presence on pieces.lane * 131072 + pieces.cell = presence.cell_key
    group by all
    having occupied_us > 0
)

select * from final
