-- training_amortisation: the training of our own models written off over their lives; a line of its own beside inference.
-- grain: month, model, BillingCurrency
-- column month: first day of the month, UTC; also months to come
-- column model: model that the jobs produced, of `[models]`
-- column BillingCurrency: currency of the cost; costs of different currencies are never added
-- column cost: the month's part of the training; the months of a model add up to all that its ended runs cost
-- column building_cost: what its runs that still go on have cost so far, in the build's month; no part of cost yet
-- A run is written off in equal parts from the month in which it ended, not before the model's release, to the end of its
-- life; what ends later falls into its own month. A run that still goes on is not written off: it is what is being built.
-- Running parts of whole pico-units make the months add up exactly.
with all_runs as (
    select
        training_runs.model_produced as model,
        training_runs.BillingCurrency,
        training_runs.cost,
        training_runs.ended_at,
        trained_models.released,
        trained_models.life_months
    from training_runs
    inner join trained_models on training_runs.model_produced = trained_models.model
    where training_runs.cost is not null
),

runs as (
    select
        model,
        BillingCurrency,
        cast(cost * 1000000000000 as hugeint) as pico,
        cast(date_trunc('month', released) as date) as released,
        life_months,
        greatest(
            cast(date_trunc('month', released) as date), cast(date_trunc('month', ended_at) as date)
        ) as first_month
    from all_runs
    where ended_at is not null
),

building as (
    select
        cast(date_trunc('month', build_info.horizon) as date) as month,
        all_runs.model,
        all_runs.BillingCurrency,
        sum(all_runs.cost) as cost
    from all_runs
    cross join build_info
    where all_runs.ended_at is null
    group by all
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

written_off as (
    select
        cast(first_month + to_months(cast(number as integer)) as date) as month,
        model,
        BillingCurrency,
        money(sum(pico * (number + 1) // months - pico * number // months)) as cost
    from parts
    group by all
),

final as (
    select
        coalesce(written_off.month, building.month) as month,
        coalesce(written_off.model, building.model) as model,
        coalesce(written_off.BillingCurrency, building.BillingCurrency) as BillingCurrency,
        cast(coalesce(written_off.cost, 0) as decimal(38, 12)) as cost,
        cast(coalesce(building.cost, 0) as decimal(38, 12)) as building_cost
    from written_off
    full join building
        on
            written_off.month = building.month
            and written_off.model = building.model
            and written_off.BillingCurrency = building.BillingCurrency
)

select * from final
