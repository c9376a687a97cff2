-- idle_shares: idle cost under the policy `proportional`: handed on to the requests' cost of the same pool.
-- grain: pool, currency and all ledger columns
with idle as (
    select
        pool,
        BillingCurrency,
        sum(pico) as pico
    from idle_money
    where policy = 'proportional'
    group by all
),

direct as (
    select
        pool,
        BillingCurrency,
        provider,
        model,
        user_id,
        team_id,
        customer_id,
        feature,
        environment,
        dimensions,
        sum(pico) as weight
    from direct_costs
    group by all
    having sum(pico) > 0
),

cumulated as (
    select
        direct.*,
        idle.pico,
        sum(direct.weight) over (
            partition by direct.pool, direct.BillingCurrency
            order by
                direct.provider,
                direct.model,
                direct.user_id,
                direct.team_id,
                direct.customer_id,
                direct.feature,
                direct.environment,
                direct.dimensions
            rows between unbounded preceding and current row
        ) as cumulative,
        sum(direct.weight) over (partition by direct.pool, direct.BillingCurrency) as total
    from direct
    inner join idle
        on
            direct.pool = idle.pool
            and direct.BillingCurrency = idle.BillingCurrency
),

final as (
    select
        * exclude (pico, weight, cumulative, total),
        pico * cumulative // total - pico * (cumulative - weight) // total as pico
    from cumulated
)

select * from final
