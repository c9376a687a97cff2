-- requests_add_up_to_the_ledger: per day, pool and currency, the requests' costs are the ledger's direct lines.
-- Only days whose request costs the warehouse carries; pools whose owners pay their idle GPUs have direct lines besides.
with used as (
    select * from pools
    where
        kind in ('gpu', 'api')
        and idle <> 'owner'
),

requests as (
    select
        request_costs.day,
        request_costs.pool,
        request_costs.BillingCurrency,
        sum(request_costs.cost) as cost
    from request_costs
    inner join used
        on
            request_costs.pool = used.pool
            and request_costs.method = used.method
    group by all
),

ledger as (
    select
        cost_ledger.day,
        cost_ledger.pool,
        cost_ledger.BillingCurrency,
        sum(cost_ledger.cost) as cost
    from cost_ledger
    inner join used on cost_ledger.pool = used.pool
    where
        cost_ledger.kind = 'direct'
        and cost_ledger.day in (select day from request_costs)
    group by all
)

select
    coalesce(requests.day, ledger.day) as day,
    coalesce(requests.pool, ledger.pool) as pool,
    coalesce(requests.BillingCurrency, ledger.BillingCurrency) as BillingCurrency,
    requests.cost,
    ledger.cost as in_the_ledger
from requests
full join ledger
    on
        requests.day = ledger.day
        and requests.pool = ledger.pool
        and requests.BillingCurrency = ledger.BillingCurrency
where coalesce(requests.cost, 0) <> coalesce(ledger.cost, 0)
