-- cell_endpoints: how many requests begin, get their first token and end in each cell, and how far into it in all.
-- grain: endpoint, cell_key; the difference array that every presence is summed from
with flights as (
    select * from flight_cells
    where not is_nothing
),

final as (
    select
        'start' as endpoint,
        start_key as cell_key,
        count(*) as requests,
        cast(sum(start_us) as bigint) as into_us
    from flights
    group by start_key
    union all by name
    select
        'first token' as endpoint,
        first_key as cell_key,
        count(*) as requests,
        cast(sum(first_us) as bigint) as into_us
    from flights
    group by first_key
    union all by name
    select
        'end' as endpoint,
        end_key as cell_key,
        count(*) as requests,
        cast(sum(end_us) as bigint) as into_us
    from flights
    group by end_key
)

select * from final
