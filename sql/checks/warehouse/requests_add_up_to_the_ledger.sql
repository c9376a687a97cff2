-- requests_add_up_to_the_ledger: per day, pool and currency, the requests' costs are the ledger's direct lines.
-- Only days whose request costs the warehouse carries; pools whose owners pay their idle GPUs have direct lines besides.
with requests as (
    select
        request_costs.day,
        request_costs.pool,
        request_costs.BillingCurrency,
        sum(request_costs.cost) as cost
    from request_costs
    inner join pools
        on
            request_costs.pool = pools.pool
            and request_costs.method = pools.method
    where pools.idle <> 'owner'
    group by all
),

ledger as (
    select
        day,
        pool,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    where kind = 'direct'
    group by all
)

select
    requests.day,
    requests.pool,
    requests.BillingCurrency,
    requests.cost,
    ledger.cost as in_the_ledger
from requests
left join ledger
    on
        requests.day = ledger.day
        and requests.pool = ledger.pool
        and requests.BillingCurrency = ledger.BillingCurrency
where requests.cost <> coalesce(ledger.cost, 0)
