-- margin_lines: revenue and cost of the product by who pays, who uses it, model and feature; margins are sums of these.
-- grain: month, payer_kind, payer, user_id, customer_id, model, feature, BillingCurrency
-- column month: first day of the month, UTC
-- column payer_kind: user: who has revenue of his own in any month, or has no customer; customer: all others; null: nobody's
-- column payer: who is to pay for this line: that user or customer; null: cost that is no user's and no customer's
-- column pays: whether any revenue of the payer is known for the month, in any currency
-- column plan: the plan that the payer paid most for in the month; without revenue that of the user's identity
-- column cohort: month of the payer's first revenue; without any that of the first cost
-- column user_id: who made the requests, or whose revenue it is; null: none known
-- column customer_id: customer that the requests were for, or whose revenue it is; null: none known
-- column model: the model that answered; null on revenue, which is of no model
-- column feature: product feature that made the requests; null on revenue
-- column BillingCurrency: currency of all amounts; those of different currencies are never added
-- column revenue: what was paid; null on lines that are of a model or feature, and where nothing is known
-- column revenue_by_cost: the payer's revenue of the month, shared by his lines as their cogs_cost: a convention, exact in sum
-- column cogs_cost: cost of the pools of class cogs, before promotional credits
-- column credits: promotional credits on this cost, negative; also those of pools that hold nothing else, of any class
-- column provisional_cost: the part of cogs_cost that no bill has confirmed yet
-- column estimated_cost: the part of cogs_cost whose division is estimated, as no telemetry watched
-- column unsure_cost: the part of cogs_cost that is provisional, estimated or both
-- Promotional credits are the charges with is_promotional_credit. Where they lie in a pool with other charges, each
-- billed line of the pool's month has its part of them by its cost; a pool whose bill they pay whole has no line left,
-- so its cost and its credits are on a line of nobody.
with marked as (
    select
        pool,
        BillingCurrency,
        is_promotional_credit,
        cast(x_cost * 1000000000000 as hugeint) as pico,
        epoch_us(ChargePeriodStart) as start_us,
        epoch_us(ChargePeriodEnd) as end_us,
        ChargePeriodStart,
        least(ChargePeriodEnd, (select max(horizon) from build_info)) as until
    from charges
),

-- pools that hold nothing but credits
credit_pools as (
    select pool
    from marked
    group by all
    having bool_and(is_promotional_credit)
),

credit_pieces as (
    select
        *,
        unnest(generate_series(date_trunc('month', ChargePeriodStart), until - interval 1 microsecond, interval 1 month))
            as month
    from marked
    where
        is_promotional_credit
        and until > ChargePeriodStart
),

credited as (
    select
        cast(month as date) as month,
        pool,
        BillingCurrency,
        sum(
            pico * (least(epoch_us(month + interval 1 month), epoch_us(until)) - start_us) // (end_us - start_us)
            - pico * (greatest(epoch_us(month), start_us) - start_us) // (end_us - start_us)
        ) as credit_pico
    from credit_pieces
    group by all
),

costs as (
    select
        cast(date_trunc('month', cost_ledger.day) as date) as month,
        cost_ledger.pool,
        pools.class,
        cost_ledger.user_id,
        cost_ledger.customer_id,
        cost_ledger.model,
        cost_ledger.feature,
        cost_ledger.BillingCurrency,
        cost_ledger.provisional,
        cost_ledger.estimated,
        credit_pools.pool is not null as only_credits,
        sum(cast(cost_ledger.cost * 1000000000000 as hugeint)) as pico
    from cost_ledger
    left join pools on cost_ledger.pool = pools.pool
    left join credit_pools on cost_ledger.pool = credit_pools.pool
    where
        pools.class = 'cogs'
        or credit_pools.pool is not null
    group by all
),

-- weights of whole millionths keep the product inside 128 bits
weighed as (
    select
        costs.*,
        credited.credit_pico,
        sum(costs.pico // 1000000) over pool_month as whole,
        coalesce(sum(costs.pico // 1000000) over (
            pool_month
            order by costs.user_id, costs.customer_id, costs.model, costs.feature, costs.estimated
            rows between unbounded preceding and 1 preceding
        ), 0) as before_it
    from costs
    inner join credited
        on
            costs.month = credited.month
            and costs.pool = credited.pool
            and costs.BillingCurrency = credited.BillingCurrency
    where
        not costs.only_credits
        and not costs.provisional
    window pool_month as (partition by costs.month, costs.pool, costs.BillingCurrency)
),

-- what the credits took off each line
taken as (
    select
        month,
        pool,
        user_id,
        customer_id,
        model,
        feature,
        BillingCurrency,
        false as provisional,
        estimated,
        credit_pico * (before_it + pico // 1000000) // whole - credit_pico * before_it // whole as credit_pico
    from weighed
    where whole <> 0
),

-- the credits of pools of which nothing is left to share them
whole_bills as (
    select
        credited.month,
        credited.pool,
        credited.BillingCurrency,
        credited.credit_pico - coalesce(sum(taken.credit_pico), 0) as credit_pico
    from credited
    inner join pools on credited.pool = pools.pool
    left join credit_pools on credited.pool = credit_pools.pool
    left join taken
        on
            credited.month = taken.month
            and credited.pool = taken.pool
            and credited.BillingCurrency = taken.BillingCurrency
    where
        pools.class = 'cogs'
        and credit_pools.pool is null
    group by credited.month, credited.pool, credited.BillingCurrency, credited.credit_pico
    having credited.credit_pico <> coalesce(sum(taken.credit_pico), 0)
),

amounts as (
    select
        month,
        user_id,
        customer_id,
        model,
        feature,
        BillingCurrency,
        case when only_credits then 0 else pico end as cost_pico,
        case when only_credits then pico else 0 end as credit_pico,
        case when provisional and not only_credits then pico else 0 end as provisional_pico,
        case when estimated and not only_credits then pico else 0 end as estimated_pico,
        case when (provisional or estimated) and not only_credits then pico else 0 end as unsure_pico,
        null as revenue_pico
    from costs
    union all by name
    select
        month,
        user_id,
        customer_id,
        model,
        feature,
        BillingCurrency,
        -credit_pico as cost_pico,
        credit_pico,
        0 as provisional_pico,
        case when estimated then -credit_pico else 0 end as estimated_pico,
        case when estimated then -credit_pico else 0 end as unsure_pico
    from taken
    union all by name
    select
        month,
        BillingCurrency,
        -credit_pico as cost_pico,
        credit_pico,
        0 as provisional_pico,
        0 as estimated_pico,
        0 as unsure_pico
    from whole_bills
    union all by name
    select
        cast(date_trunc('month', period) as date) as month,
        user_id,
        customer_id,
        currency as BillingCurrency,
        cast(amount * 1000000000000 as hugeint) as revenue_pico
    from revenue
),

summed as (
    select
        month,
        user_id,
        customer_id,
        model,
        feature,
        BillingCurrency,
        sum(cost_pico) as cost_pico,
        sum(credit_pico) as credit_pico,
        sum(provisional_pico) as provisional_pico,
        sum(estimated_pico) as estimated_pico,
        sum(unsure_pico) as unsure_pico,
        sum(revenue_pico) as revenue_pico
    from amounts
    group by all
),

own_payers as (
    select distinct user_id
    from revenue
    where user_id is not null
),

placed as (
    select
        summed.*,
        case
            when own_payers.user_id is not null then 'user'
            when summed.customer_id is not null then 'customer'
            when summed.user_id is not null then 'user'
        end as payer_kind,
        case
            when own_payers.user_id is not null then summed.user_id
            else coalesce(summed.customer_id, summed.user_id)
        end as payer
    from summed
    left join own_payers on summed.user_id = own_payers.user_id
),

payments as (
    select
        cast(date_trunc('month', period) as date) as month,
        case when user_id is null then 'customer' else 'user' end as payer_kind,
        coalesce(user_id, customer_id) as payer,
        plan,
        sum(amount) as amount
    from revenue
    group by all
),

plans as (
    select
        month,
        payer_kind,
        payer,
        plan
    from payments
    qualify row_number() over (partition by month, payer_kind, payer order by amount desc, plan nulls last) = 1
),

known_plans as (
    select
        month,
        user_id,
        min(plan) as plan
    from user_month
    where user_id is not null
    group by all
),

cohorts as (
    select
        payer_kind,
        payer,
        coalesce(min(month) filter (where revenue_pico is not null), min(month)) as cohort
    from placed
    where payer is not null
    group by all
),

spread as (
    select
        *,
        sum(cost_pico // 1000000) over by_payer as whole,
        coalesce(sum(cost_pico // 1000000) over (
            by_payer
            order by user_id, customer_id, model, feature
            rows between unbounded preceding and 1 preceding
        ), 0) as before_it,
        sum(revenue_pico) over by_payer as payer_revenue
    from placed
    window by_payer as (partition by month, payer_kind, payer, BillingCurrency)
),

final as (
    select
        spread.month,
        spread.payer_kind,
        spread.payer,
        plans.payer is not null as pays,
        coalesce(plans.plan, known_plans.plan) as plan,
        cohorts.cohort,
        spread.user_id,
        spread.customer_id,
        spread.model,
        spread.feature,
        spread.BillingCurrency,
        money(spread.revenue_pico) as revenue,
        money(
            case
                when spread.whole > 0
                    then
                        spread.payer_revenue * (spread.before_it + coalesce(spread.cost_pico, 0) // 1000000)
                        // spread.whole
                        - spread.payer_revenue * spread.before_it // spread.whole
                else spread.revenue_pico
            end
        ) as revenue_by_cost,
        money(spread.cost_pico) as cogs_cost,
        money(nullif(spread.credit_pico, 0)) as credits,
        money(nullif(spread.provisional_pico, 0)) as provisional_cost,
        money(nullif(spread.estimated_pico, 0)) as estimated_cost,
        money(nullif(spread.unsure_pico, 0)) as unsure_cost
    from spread
    left join plans
        on
            spread.month = plans.month
            and spread.payer_kind = plans.payer_kind
            and spread.payer = plans.payer
    left join known_plans
        on
            spread.month = known_plans.month
            and spread.user_id = known_plans.user_id
    left join cohorts
        on
            spread.payer_kind = cohorts.payer_kind
            and spread.payer = cohorts.payer
)

select * from final
