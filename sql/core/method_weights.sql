-- method_weights: tokens and requests: each request's share by its weight; less than a pico-unit each is left over.
-- grain: day, method, pool, BillingCurrency, provisional, x_source, request_id
-- materialized: view
with requests as (
    select * from weighed_requests
    where
        weight > 0
        or volume_weight > 0
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
        money.volume_pico * requests.volume_weight <> 0 as estimated,
        requests.* exclude (day, method, pool, share_group, weight, volume_weight),
        coalesce(money.pico * requests.weight // nullif(money.weight, 0), 0)
        + coalesce(money.volume_pico * requests.volume_weight // nullif(money.volume_weight, 0), 0) as pico
    from requests
    inner join money
        on
            requests.day = money.day
            and requests.method = money.method
            and requests.pool = money.pool
            and requests.provisional = money.provisional
            and requests.share_group = money.share_group
)

select * from final
