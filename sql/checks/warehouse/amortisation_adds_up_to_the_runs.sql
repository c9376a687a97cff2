-- amortisation_adds_up_to_the_runs: the months of each of our own models, and what is being built, are all that its
-- training cost.
with written_off as (
    select
        model,
        BillingCurrency,
        sum(cost + building_cost) as cost
    from training_amortisation
    group by all
),

runs as (
    select
        training_runs.model_produced as model,
        training_runs.BillingCurrency,
        sum(training_runs.cost) as cost
    from training_runs
    inner join trained_models on training_runs.model_produced = trained_models.model
    where training_runs.cost is not null
    group by all
)

select
    runs.model,
    runs.BillingCurrency,
    runs.cost,
    written_off.cost as in_the_months
from runs
left join written_off
    on
        runs.model = written_off.model
        and runs.BillingCurrency = written_off.BillingCurrency
where runs.cost is distinct from written_off.cost
