-- idle_shares: idle cost under the policy `proportional`: handed on to the requests' cost of the same pool.
-- grain: day, pool, currency, provisional and all ledger columns
with idle as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        sum(pico) as pico
    from idle_money
    where policy = 'proportional'
    group by all
),

direct as (
    select
        day,
        pool,
        BillingCurrency,
        provisional,
        provider,
        model,
        user_id,
        team_id,
        customer_id,
        feature,
        environment,
        dimensions,
        sum(pico) as pico
    from direct_costs
    group by all
    having sum(pico) > 0
),

-- the product of a weight and a pool's pico-units must stay inside 128 bits in any currency
measured as (
    select
        * exclude (pico),
        pico
        // greatest(sum(pico) over (partition by day, pool, BillingCurrency, provisional) // 1000000000000000, 1) as weight
    from direct
),

cumulated as (
    select
        measured.*,
        idle.pico,
        sum(measured.weight) over (
            partition by measured.day, measured.pool, measured.BillingCurrency, measured.provisional
            order by
                measured.provider,
                measured.model,
                measured.user_id,
                measured.team_id,
                measured.customer_id,
                measured.feature,
                measured.environment,
                measured.dimensions
            rows between unbounded preceding and current row
        ) as cumulative,
        sum(measured.weight) over (
            partition by measured.day, measured.pool, measured.BillingCurrency, measured.provisional
        ) as total
    from measured
    inner join idle
        on
            measured.day = idle.day
            and measured.pool = idle.pool
            and measured.BillingCurrency = idle.BillingCurrency
            and measured.provisional = idle.provisional
    where measured.weight > 0
),

final as (
    select
        * exclude (pico, weight, cumulative, total),
        pico * cumulative // total - pico * (cumulative - weight) // total as pico
    from cumulated
)

select * from final
