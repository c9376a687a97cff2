-- marts_add_up_to_the_ledger: every mart of costs has the ledger's total in each currency.
with ledger as (
    select
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    group by all
),

marts as (
    select 'user_day' as mart, BillingCurrency, sum(cost) as cost from user_day group by all
    union all
    select 'user_month' as mart, BillingCurrency, sum(cost) as cost from user_month group by all
    union all
    select 'model_day' as mart, BillingCurrency, sum(cost) as cost from model_day group by all
    union all
    select 'team_month' as mart, BillingCurrency, sum(cost) as cost from team_month group by all
    union all
    select 'customer_month' as mart, BillingCurrency, sum(cost) as cost from customer_month group by all
    union all
    select 'margin_month' as mart, BillingCurrency, sum(cost) as cost from margin_month group by all
    union all
    select 'cost_center_month' as mart, BillingCurrency, sum(cost) as cost from cost_center_month group by all
    union all
    select 'journal_month' as mart, BillingCurrency, sum(cost) as cost from journal_month group by all
    union all
    select 'reporting_day' as mart, BillingCurrency, sum(cost) as cost from reporting_day group by all
    union all
    select 'reporting_month' as mart, BillingCurrency, sum(cost) as cost from reporting_month group by all
)

select
    marts.mart,
    marts.BillingCurrency,
    marts.cost,
    ledger.cost as in_the_ledger
from marts
left join ledger on marts.BillingCurrency = ledger.BillingCurrency
where
    marts.BillingCurrency is not null
    and marts.cost is distinct from ledger.cost
