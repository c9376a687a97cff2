-- job_days: what each training or batch job held and cost on a day, and what of it was lost.
-- grain: day, job_id, pool, currency, provisional
-- Lost: what a job that failed cost after its last checkpoint; all of it without one.
with job_costs as (
    select * from job_costs
),

final as (
    select
        job_costs.day,
        job_costs.job_id,
        job_costs.pool,
        job_costs.BillingCurrency,
        job_costs.provisional,
        sum(job_costs.taken_us) / 1000000 as gpu_seconds,
        money(sum(job_costs.pico)) as cost,
        money(sum(job_costs.lost_pico)) as lost_cost
    from job_costs
    group by all
)

select * from final
