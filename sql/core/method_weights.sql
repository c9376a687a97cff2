-- method_weights: tokens and requests: each request's share by its weight; less than a pico-unit each is left over.
-- grain: day, method, pool, BillingCurrency, provisional, x_source, request_id
-- materialized: view
with requests as (
    select * from weighed_requests
    where weight > 0
),

money as (
    select * from weighed_money
),

final as (
    select
        requests.day,
        requests.method,
        requests.pool,
        money.BillingCurrency,
        false as estimated,
        requests.* exclude (day, method, pool, weight),
        money.pico * requests.weight // money.weight as pico
    from requests
    inner join money
        on
            requests.day = money.day
            and requests.method = money.method
            and requests.pool = money.pool
            and requests.provisional = money.provisional
)

select * from final
