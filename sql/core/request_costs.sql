-- request_costs: what each request cost, under the ledger's method and those kept for comparison.
-- grain: day, method, pool, x_source, request_id, currency, provisional, estimated; under the pool's own method it sums to the ledger's direct lines
-- materialized: view
with request_money as (
    select * from request_money
),

final as (
    select
        request_money.day,
        request_money.method,
        request_money.pool,
        request_money.x_source,
        request_money.request_id,
        request_money.BillingCurrency,
        money(request_money.pico) as cost,
        request_money.provisional,
        request_money.estimated
    from request_money
)

select * from final
