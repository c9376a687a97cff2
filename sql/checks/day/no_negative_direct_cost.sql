-- no_negative_direct_cost: without a negative charge nobody's own cost is negative.
with credited as (
    select distinct
        pool,
        BillingCurrency
    from charge_spans
    where pico < 0
)

select
    cost_ledger.day,
    cost_ledger.pool,
    cost_ledger.kind,
    cost_ledger.user_id,
    cost_ledger.cost
from cost_ledger
left join credited
    on
        cost_ledger.pool = credited.pool
        and cost_ledger.BillingCurrency = credited.BillingCurrency
where
    cost_ledger.kind in ('direct', 'shared', 'training', 'idle', 'unobserved', 'unexplained')
    and cost_ledger.cost < 0
    and credited.pool is null
