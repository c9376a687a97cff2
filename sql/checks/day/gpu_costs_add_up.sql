-- gpu_costs_add_up: the parts of each GPU's cost are its cost, and all GPUs of a pool are what the ledger has with them.
with gpus as (
    select
        day,
        pool,
        BillingCurrency,
        sum(cost) as cost,
        sum(direct_cost + training_cost + idle_cost + unobserved_cost + unexplained_cost) as parts
    from gpu_days
    group by all
),

ledger as (
    select
        day,
        pool,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    where kind <> 'unassigned'
    group by all
)

select
    gpus.day,
    gpus.pool,
    gpus.BillingCurrency,
    gpus.cost,
    gpus.parts,
    ledger.cost as in_the_ledger
from gpus
left join ledger
    on
        gpus.day = ledger.day
        and gpus.pool = ledger.pool
        and gpus.BillingCurrency = ledger.BillingCurrency
where
    gpus.cost <> gpus.parts
    or gpus.cost <> coalesce(ledger.cost, 0)
