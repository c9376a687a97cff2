-- commitments: what each commitment (reservation, savings plan, committed use) cost in a month, and how much of it was used.
-- grain: month, provider, commitment, BillingCurrency
-- column month: first day of the billing month
-- column provider: who sold it
-- column commitment: CommitmentDiscountId, in lower case: some providers write it both ways
-- column name: its name; null: the bill has none
-- column category: Spend or Usage: what was committed to
-- column type: the provider's word for its kind
-- column owner: account that holds it, as its purchase or its unused part says; null: only its use is in the bill
-- column owner_team: team that owns it: the tag team of its purchase or unused part; null: none
-- column BillingCurrency: currency of the costs; costs of different currencies are never added
-- column billed_cost: what was billed for it in the month: purchases, and fees that stand on its unused part
-- column used_cost: amortised cost of what used it
-- column unused_cost: amortised cost of what nobody used
-- column utilisation: used_cost of both; null where both are 0
-- column used_quantity: what was used, in unit; null: the bill does not say
-- column unused_quantity: what was not used, in unit; null: the bill does not say
-- column unit: CommitmentDiscountUnit
-- column first_day: first day of the month on which it covers something or lies idle
-- column last_day: last such day
-- column paid_until: end of the last period that was bought; null: no purchase in the bills so far
-- column ends_on: its last day, where the bill says so; null: it does not
with charges as (
    select
        *,
        coalesce(ServiceProviderName, ProviderName) as provider,
        lower(CommitmentDiscountId) as commitment,
        case when json_valid(Tags) then json_extract_string(Tags, '$.team') end as team,
        case
            when json_valid(x_extra) then try_cast(json_extract_string(x_extra, '$.x_CommitmentDiscountEnd') as date)
        end as ends_on
    from charges
    where CommitmentDiscountId is not null
),

known as (
    select
        provider,
        commitment,
        max(ChargePeriodEnd) filter (where ChargeCategory = 'Purchase') as paid_until,
        max(ends_on) as ends_on
    from charges
    group by all
),

months as (
    select
        billing_month as month,
        provider,
        commitment,
        BillingCurrency,
        max(CommitmentDiscountName) as name,
        max(CommitmentDiscountCategory) as category,
        max(CommitmentDiscountType) as type,
        max(SubAccountId) filter (where ChargeCategory = 'Purchase') as buyer,
        max(SubAccountId) filter (where CommitmentDiscountStatus = 'Unused') as holder,
        max(team) filter (where ChargeCategory = 'Purchase' or CommitmentDiscountStatus = 'Unused') as owner_team,
        sum(BilledCost) as billed_cost,
        coalesce(sum(EffectiveCost) filter (where CommitmentDiscountStatus = 'Used'), 0) as used_cost,
        coalesce(sum(EffectiveCost) filter (where CommitmentDiscountStatus = 'Unused'), 0) as unused_cost,
        sum(CommitmentDiscountQuantity) filter (where CommitmentDiscountStatus = 'Used') as used_quantity,
        sum(CommitmentDiscountQuantity) filter (where CommitmentDiscountStatus = 'Unused') as unused_quantity,
        max(CommitmentDiscountUnit) as unit,
        min(ChargePeriodStart) filter (where CommitmentDiscountStatus is not null) as first_at,
        max(ChargePeriodStart) filter (where CommitmentDiscountStatus is not null) as last_at
    from charges
    group by all
),

rated as (
    select
        *,
        used_cost as used,
        used_cost + unused_cost as whole
    from months
),

shared as (
    select
        *,
        case when whole <> 0 then cast(used as double) / cast(whole as double) end as utilisation
    from rated
),

final as (
    select
        months.month,
        months.provider,
        months.commitment,
        months.name,
        months.category,
        months.type,
        coalesce(months.buyer, months.holder) as owner,
        months.owner_team,
        months.BillingCurrency,
        months.billed_cost,
        months.used_cost,
        months.unused_cost,
        months.utilisation,
        months.used_quantity,
        months.unused_quantity,
        months.unit,
        cast(months.first_at as date) as first_day,
        cast(months.last_at as date) as last_day,
        known.paid_until,
        known.ends_on
    from shared as months
    inner join known
        on
            months.provider is not distinct from known.provider
            and months.commitment = known.commitment
)

select * from final
