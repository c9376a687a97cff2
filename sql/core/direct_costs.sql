-- direct_costs: the requests' cost under the ledger's own method, added up by who and what they were for.
-- grain: pool, currency, replica and all ledger columns
with request_money as (
    select * from request_money
),

pools as (
    select * from settings.pools
),

final as (
    select
        request_money.pool,
        pools.kind as pool_kind,
        request_money.BillingCurrency,
        request_money.replica_id,
        request_money.provider,
        request_money.model,
        request_money.user_id,
        request_money.team_id,
        request_money.customer_id,
        request_money.feature,
        request_money.environment,
        request_money.dimensions,
        sum(request_money.pico) as pico
    from request_money
    inner join pools
        on
            request_money.pool = pools.pool
            and request_money.method = pools.method
    group by all
)

select * from final
