-- freshness: what each source brought and when.
-- grain: x_source
-- column x_source: configured source
-- column table_name: lake table that it fills
-- column files: files landed
-- column rows_landed: rows of them in the lake
-- column rows_rejected: rows that could not be read; see rejects
-- column failed_files: files that could not be read as a whole, at their newest delivery
-- column newest_load_at: when the newest of them was landed, UTC
with loads as (
    select * from loads
),

newest as (
    select *
    from loads
    qualify row_number() over (partition by x_source, x_load order by loaded_at desc) = 1
),

final as (
    select
        x_source,
        any_value("table") as table_name,
        count(*) filter (where status = 'landed') as files,
        cast(sum(landed) as bigint) as rows_landed,
        cast(sum(rejected) as bigint) as rows_rejected,
        count(*) filter (where status = 'failed') as failed_files,
        max(loaded_at) as newest_load_at
    from newest
    group by all
)

select * from final
