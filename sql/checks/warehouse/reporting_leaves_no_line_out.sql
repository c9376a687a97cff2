-- reporting_leaves_no_line_out: by month, pool and currency the reporting marts have the ledger's cost, and one converted sum.
with reporting as (
    select * from reporting
),

ledger as (
    select
        cast(date_trunc('month', day) as date) as month,
        pool,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    group by all
),

days as (
    select
        cast(date_trunc('month', day) as date) as month,
        pool,
        BillingCurrency,
        sum(cost) as cost,
        case when count(*) = count(reporting_cost) then sum(reporting_cost) end as reporting_cost,
        count(*) filter (where (rate is null) <> (reporting_cost is null)) as rows_off
    from reporting_day
    group by all
),

months as (
    select
        month,
        pool,
        BillingCurrency,
        sum(cost) as cost,
        case when count(*) = count(reporting_cost) then sum(reporting_cost) end as reporting_cost
    from reporting_month
    group by all
)

select
    ledger.month,
    ledger.pool,
    ledger.BillingCurrency,
    ledger.cost,
    days.cost as cost_by_day,
    months.cost as cost_by_month,
    days.reporting_cost as reporting_cost_by_day,
    months.reporting_cost as reporting_cost_by_month
from ledger
cross join reporting
left join days
    on
        ledger.month = days.month
        and ledger.pool = days.pool
        and ledger.BillingCurrency = days.BillingCurrency
left join months
    on
        ledger.month = months.month
        and ledger.pool = months.pool
        and ledger.BillingCurrency = months.BillingCurrency
where
    ledger.cost is distinct from days.cost
    or ledger.cost is distinct from months.cost
    or days.reporting_cost is distinct from months.reporting_cost
    or days.rows_off > 0
