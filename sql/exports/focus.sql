-- focus: the bill of a month in FOCUS 1.2 (Cost and Usage), for another tool to read.
-- grain: charge
-- What the specification wants on every row and a source may leave out takes the nearest thing that is known: an account
-- or a provider is named as its source, a cost without discounts is the one with them. Text is ASCII, as the specification
-- wants it: accents go, other letters become a question mark. Nothing else that a bill says is changed.
with charges as (
    select * from charges
),

final as (
    select
        to_ascii(AvailabilityZone) as AvailabilityZone,
        BilledCost,
        to_ascii(coalesce(BillingAccountId, x_source)) as BillingAccountId,
        to_ascii(coalesce(BillingAccountName, BillingAccountId, x_source)) as BillingAccountName,
        to_ascii(coalesce(BillingAccountType, 'Account')) as BillingAccountType,
        BillingCurrency,
        BillingPeriodEnd,
        BillingPeriodStart,
        to_ascii(CapacityReservationId) as CapacityReservationId,
        CapacityReservationStatus,
        ChargeCategory,
        ChargeClass,
        to_ascii(ChargeDescription) as ChargeDescription,
        coalesce(ChargeFrequency, 'Usage-Based') as ChargeFrequency,
        ChargePeriodEnd,
        ChargePeriodStart,
        CommitmentDiscountCategory,
        to_ascii(CommitmentDiscountId) as CommitmentDiscountId,
        to_ascii(CommitmentDiscountName) as CommitmentDiscountName,
        CommitmentDiscountQuantity,
        CommitmentDiscountStatus,
        to_ascii(CommitmentDiscountType) as CommitmentDiscountType,
        to_ascii(CommitmentDiscountUnit) as CommitmentDiscountUnit,
        ConsumedQuantity,
        to_ascii(ConsumedUnit) as ConsumedUnit,
        coalesce(ContractedCost, EffectiveCost) as ContractedCost,
        ContractedUnitPrice,
        EffectiveCost,
        to_ascii(InvoiceId) as InvoiceId,
        to_ascii(coalesce(InvoiceIssuerName, ProviderName, x_source)) as InvoiceIssuerName,
        coalesce(ListCost, ContractedCost, EffectiveCost) as ListCost,
        ListUnitPrice,
        PricingCategory,
        coalesce(PricingCurrency, BillingCurrency) as PricingCurrency,
        PricingCurrencyContractedUnitPrice,
        case
            when PricingCurrency is null or PricingCurrency = BillingCurrency
                then coalesce(PricingCurrencyEffectiveCost, EffectiveCost)
            else PricingCurrencyEffectiveCost
        end as PricingCurrencyEffectiveCost,
        PricingCurrencyListUnitPrice,
        PricingQuantity,
        to_ascii(PricingUnit) as PricingUnit,
        to_ascii(coalesce(ProviderName, x_source)) as ProviderName,
        to_ascii(coalesce(PublisherName, ProviderName, x_source)) as PublisherName,
        to_ascii(RegionId) as RegionId,
        to_ascii(RegionName) as RegionName,
        to_ascii(ResourceId) as ResourceId,
        to_ascii(ResourceName) as ResourceName,
        to_ascii(ResourceType) as ResourceType,
        coalesce(ServiceCategory, 'Other') as ServiceCategory,
        to_ascii(coalesce(ServiceName, ProviderName, x_source)) as ServiceName,
        coalesce(ServiceSubcategory, 'Other (' || coalesce(ServiceCategory, 'Other') || ')') as ServiceSubcategory,
        to_ascii(SkuId) as SkuId,
        to_ascii(SkuMeter) as SkuMeter,
        SkuPriceDetails,
        to_ascii(SkuPriceId) as SkuPriceId,
        to_ascii(SubAccountId) as SubAccountId,
        to_ascii(coalesce(SubAccountName, SubAccountId)) as SubAccountName,
        case
            when SubAccountId is not null then to_ascii(coalesce(SubAccountType, 'Account'))
        end as SubAccountType,
        Tags,
        x_charge_id as x_ChargeId,
        x_source as x_Source,
        pool as x_Pool
    from charges
)

select * from final
