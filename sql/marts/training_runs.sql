-- training_runs: what each training or batch job cost, and what of it was lost. Experiments and models are its sums.
-- grain: job_id, BillingCurrency
-- column job_id: the job
-- column run_id: run that it is part of
-- column experiment: experiment that it is part of
-- column model_produced: model that it makes
-- column team_id: team that pays for it
-- column user_id: who started it
-- column status: how it ended, as the log says
-- column started_at: start, UTC
-- column ended_at: end, UTC; null: it still runs
-- column last_checkpoint_at: when its work was last saved, UTC
-- column gpu_hours: GPU-hours that it held; in a serving pool the busy ones that no request explains
-- column BillingCurrency: currency of the costs; null where nothing was billed for it
-- column cost: what it cost
-- column lost_cost: of it: after the last checkpoint of a job that failed; all of it without a checkpoint
-- column provisional_cost: the part of cost that no bill has confirmed yet
with costs as (
    select
        job_id,
        BillingCurrency,
        sum(gpu_seconds) / 3600 as gpu_hours,
        sum(cost) as cost,
        sum(lost_cost) as lost_cost,
        sum(cost) filter (where provisional) as provisional_cost
    from job_days
    group by all
),

final as (
    select
        jobs.job_id,
        jobs.run_id,
        jobs.experiment,
        jobs.model_produced,
        jobs.team_id,
        jobs.user_id,
        jobs.status,
        jobs.started_at,
        jobs.ended_at,
        jobs.last_checkpoint_at,
        costs.gpu_hours,
        costs.BillingCurrency,
        costs.cost,
        costs.lost_cost,
        costs.provisional_cost
    from jobs
    left join costs on jobs.job_id = costs.job_id
)

select * from final
