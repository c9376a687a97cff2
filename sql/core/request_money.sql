-- request_money: what each request cost under each method that is kept, in pico-units.
-- grain: day, method, pool, BillingCurrency, provisional, estimated, x_source, request_id
-- materialized: view
with final as (
    select * from method_time
    union all by name
    select * from method_weights
)

select * from final
