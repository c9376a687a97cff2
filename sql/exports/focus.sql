-- focus: the bill of a month in FOCUS 1.2 (Cost and Usage), for another tool to read.
-- grain: charge
-- What the specification wants on every row and a source may leave out takes the nearest thing that is known: an account
-- or a provider is named as its source, a cost without discounts is price x quantity, else the cost with them; a price of a
-- SKU has the SKU's id, a region without a name its id, a resource the type of its service. Where FOCUS has no place for
-- something (a quantity without a unit, the SKU of a tax) it is left out here and stays in the lake. Text is ASCII, as the
-- specification wants it: accents go, other letters become a question mark. Nothing else that a bill says is changed.
with charges as (
    select
        *,
        ChargeCategory <> 'Tax' as priced,
        ChargeCategory = 'Usage' and CommitmentDiscountStatus is distinct from 'Unused' as used,
        CommitmentDiscountId is not null as committed,
        CommitmentDiscountId is not null
        and ChargeCategory in ('Usage', 'Purchase')
        and CommitmentDiscountQuantity is not null
        and CommitmentDiscountUnit is not null as counted
    from charges
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
        case when CapacityReservationId is not null then CapacityReservationStatus end as CapacityReservationStatus,
        ChargeCategory,
        ChargeClass,
        to_ascii(ChargeDescription) as ChargeDescription,
        coalesce(ChargeFrequency, 'Usage-Based') as ChargeFrequency,
        ChargePeriodEnd,
        ChargePeriodStart,
        case when committed then CommitmentDiscountCategory end as CommitmentDiscountCategory,
        to_ascii(CommitmentDiscountId) as CommitmentDiscountId,
        case when committed then to_ascii(CommitmentDiscountName) end as CommitmentDiscountName,
        case when counted then CommitmentDiscountQuantity end as CommitmentDiscountQuantity,
        case when committed then CommitmentDiscountStatus end as CommitmentDiscountStatus,
        case when committed then to_ascii(CommitmentDiscountType) end as CommitmentDiscountType,
        case when counted then to_ascii(CommitmentDiscountUnit) end as CommitmentDiscountUnit,
        case when used and ConsumedUnit is not null then ConsumedQuantity end as ConsumedQuantity,
        case when used and ConsumedQuantity is not null then to_ascii(ConsumedUnit) end as ConsumedUnit,
        coalesce(
            ContractedCost, priced_cost(ContractedUnitPrice, PricingQuantity), EffectiveCost
        ) as ContractedCost,
        case when priced then ContractedUnitPrice end as ContractedUnitPrice,
        EffectiveCost,
        to_ascii(InvoiceId) as InvoiceId,
        to_ascii(coalesce(InvoiceIssuerName, ProviderName, x_source)) as InvoiceIssuerName,
        coalesce(
            ListCost,
            priced_cost(ListUnitPrice, PricingQuantity),
            ContractedCost,
            priced_cost(ContractedUnitPrice, PricingQuantity),
            EffectiveCost
        ) as ListCost,
        case when priced then ListUnitPrice end as ListUnitPrice,
        case when priced then PricingCategory end as PricingCategory,
        coalesce(PricingCurrency, BillingCurrency) as PricingCurrency,
        case when priced then PricingCurrencyContractedUnitPrice end as PricingCurrencyContractedUnitPrice,
        case
            when PricingCurrency is null or PricingCurrency = BillingCurrency
                then coalesce(PricingCurrencyEffectiveCost, EffectiveCost)
            else PricingCurrencyEffectiveCost
        end as PricingCurrencyEffectiveCost,
        case when priced then PricingCurrencyListUnitPrice end as PricingCurrencyListUnitPrice,
        case when priced and PricingUnit is not null then PricingQuantity end as PricingQuantity,
        case when priced and PricingQuantity is not null then to_ascii(PricingUnit) end as PricingUnit,
        to_ascii(coalesce(ProviderName, x_source)) as ProviderName,
        to_ascii(coalesce(PublisherName, ProviderName, x_source)) as PublisherName,
        to_ascii(coalesce(RegionId, RegionName)) as RegionId,
        to_ascii(coalesce(RegionName, RegionId)) as RegionName,
        to_ascii(ResourceId) as ResourceId,
        case when ResourceId is not null then to_ascii(ResourceName) end as ResourceName,
        case
            when ResourceId is not null
                then to_ascii(coalesce(ResourceType, ServiceName, ProviderName, x_source))
        end as ResourceType,
        coalesce(ServiceCategory, 'Other') as ServiceCategory,
        to_ascii(coalesce(ServiceName, ProviderName, x_source)) as ServiceName,
        coalesce(ServiceSubcategory, 'Other (' || coalesce(ServiceCategory, 'Other') || ')') as ServiceSubcategory,
        case when priced then to_ascii(SkuId) end as SkuId,
        case when priced and SkuId is not null then to_ascii(SkuMeter) end as SkuMeter,
        case when priced and coalesce(SkuPriceId, SkuId) is not null then SkuPriceDetails end as SkuPriceDetails,
        case when priced then to_ascii(coalesce(SkuPriceId, SkuId)) end as SkuPriceId,
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
