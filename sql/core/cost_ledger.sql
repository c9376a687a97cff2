-- cost_ledger: who and what every billed unit of money was spent on, by day.
-- grain: day, pool, kind, provider, model, user_id, team_id, customer_id, feature, environment, dimensions, currency, provisional,
-- estimated
with lines as (
    select * from gpu_lines
    union all by name
    select * from api_lines
    union all by name
    select * from shared_lines
),

final as (
    select
        lines.day,
        lines.pool,
        lines.kind,
        lines.provider,
        lines.model,
        lines.user_id,
        lines.team_id,
        lines.customer_id,
        lines.feature,
        lines.environment,
        coalesce(lines.dimensions, '{}') as dimensions,
        lines.BillingCurrency,
        money(sum(lines.pico)) as cost,
        lines.provisional,
        coalesce(lines.estimated, false) as estimated
    from lines
    group by all
    having sum(lines.pico) <> 0
)

select * from final
