-- credits: the promotional credits that the configuration names: granted, used, and when they run out.
-- grain: credit
-- column credit: name in `[credits]`
-- column BillingCurrency: its currency; charges in another one are not counted
-- column granted: what the provider granted
-- column used: what the bills have taken from it so far, as a positive amount
-- column left_over: granted less used; negative: more was taken than was granted
-- column first_day: first day on which it was used; null: never
-- column last_day: last day on which it was used; null: never
-- column used_a_day: mean of the 30 days before and with last_day, or since first_day where that is later
-- column expires: first day on which what is left is lost; null: it does not expire
-- column runs_out_on: day on which nothing is left at that pace, or it expires; null: neither is known
-- column lost_at_expiry: what is left then at that pace; null: it does not expire
with grants as (
    select * from grants
),

taken as (
    select
        credit,
        BillingCurrency,
        cast(ChargePeriodStart as date) as day,
        -sum(BilledCost) as used
    from charges
    where credit is not null
    group by all
),

summed as (
    select
        grants.credit,
        grants.currency as BillingCurrency,
        grants.granted,
        grants.expires,
        coalesce(sum(taken.used), 0) as used,
        min(taken.day) as first_day,
        max(taken.day) as last_day
    from grants
    left join taken
        on
            grants.credit = taken.credit
            and grants.currency = taken.BillingCurrency
    group by all
),

paced as (
    select
        summed.*,
        money(
            cast(sum(taken.used) filter (where taken.day > summed.last_day - 30) * 1000000000000 as hugeint)
            // any_value(least(30, date_diff('day', summed.first_day, summed.last_day) + 1))
        ) as used_a_day
    from summed
    left join taken
        on
            summed.credit = taken.credit
            and summed.BillingCurrency = taken.BillingCurrency
    group by all
),

ending as (
    select
        *,
        granted - used as left_over,
        case
            when granted <= used then last_day
            when used_a_day > 0 then last_day + cast(ceil((granted - used) / used_a_day) as integer)
        end as used_up_on,
        case
            when expires is not null
                then greatest(
                    granted - used - coalesce(used_a_day, 0) * greatest(date_diff('day', last_day, expires) - 1, 0), 0
                )
        end as lost_at_expiry
    from paced
),

final as (
    select
        credit,
        BillingCurrency,
        granted,
        used,
        left_over,
        first_day,
        last_day,
        used_a_day,
        expires,
        least(used_up_on, expires) as runs_out_on,
        lost_at_expiry
    from ending
)

select * from final
