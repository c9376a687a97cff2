-- training_amortisation: the training of our own models written off over their lives; a line of its own beside inference.
-- grain: month, model, BillingCurrency
-- column month: first day of the month, UTC; also months to come
-- column model: model that the jobs produced, of `[models]`
-- column BillingCurrency: currency of the cost; costs of different currencies are never added
-- column cost: the month's part of the training; the months of a model add up to all that its runs cost
-- A run is written off in equal parts from the month in which it ended, not before the model's release, to the end of its
-- life; what ends later falls into its own month. Running parts of whole pico-units make the months add up exactly.
with runs as (
    select
        training_runs.model_produced as model,
        training_runs.BillingCurrency,
        cast(training_runs.cost * 1000000000000 as hugeint) as pico,
        cast(date_trunc('month', trained_models.released) as date) as released,
        trained_models.life_months,
        greatest(
            cast(date_trunc('month', trained_models.released) as date),
            cast(date_trunc('month', coalesce(training_runs.ended_at, training_runs.started_at)) as date)
        ) as first_month
    from training_runs
    inner join trained_models on training_runs.model_produced = trained_models.model
    where training_runs.cost is not null
),

lives as (
    select
        *,
        greatest(date_diff('month', first_month, released) + life_months, 1) as months
    from runs
),

parts as (
    select
        *,
        unnest(range(months)) as number
    from lives
),

final as (
    select
        cast(first_month + to_months(cast(number as integer)) as date) as month,
        model,
        BillingCurrency,
        money(sum(pico * (number + 1) // months - pico * number // months)) as cost
    from parts
    group by all
)

select * from final
