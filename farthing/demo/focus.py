"""One row of a simulated bill, written as FOCUS 1.2 in exact decimals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

#: The columns of FOCUS 1.2 Cost and Usage, all of them, in alphabetical order.
COLUMNS = """
AvailabilityZone BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency BillingPeriodEnd
BillingPeriodStart CapacityReservationId CapacityReservationStatus ChargeCategory ChargeClass ChargeDescription
ChargeFrequency ChargePeriodEnd ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId
CommitmentDiscountName CommitmentDiscountQuantity CommitmentDiscountStatus CommitmentDiscountType
CommitmentDiscountUnit ConsumedQuantity ConsumedUnit ContractedCost ContractedUnitPrice EffectiveCost InvoiceId
InvoiceIssuerName ListCost ListUnitPrice PricingCategory PricingCurrency PricingCurrencyContractedUnitPrice
PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity PricingUnit ProviderName PublisherName
RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName ServiceSubcategory SkuId
SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags
""".split()


@dataclass(frozen=True)
class Vendor:
    """Who sends a bill: the name of its files, and the account and currency it speaks of."""

    file: str
    name: str
    account: str
    currency: str = "USD"
    region: str = ""


@dataclass(frozen=True)
class Charge:
    """One bill row, and the pool that the demo's farthing.toml is meant to put it in."""

    vendor: Vendor
    pool: str
    begin: datetime
    end: datetime
    service: str
    category: str
    subcategory: str
    description: str
    unit: str
    quantity: Decimal
    price: Decimal
    list_price: Decimal
    resource: str = ""
    resource_type: str = ""
    sku: str = ""
    meter: str = ""
    details: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None
    charge_category: str = "Usage"
    pricing: str = "Standard"
    commitment: str = ""

    @property
    def cost(self) -> Decimal:
        """What is billed: quantity times price at ten decimals, as clouds write it."""
        return _money(self.quantity * self.price)

    def row(self) -> dict[str, str]:
        """The FOCUS 1.2 columns that apply, as text."""
        month = self.begin.replace(day=1, hour=0)
        cost, metered = str(self.cost), self.charge_category in ("Usage", "Purchase")
        values = {
            "BillingAccountId": self.vendor.account,
            "BillingAccountName": "acme (simulated)",
            "BillingAccountType": "Account",
            "BillingCurrency": self.vendor.currency,
            "BillingPeriodStart": _time(month),
            "BillingPeriodEnd": _time((month + timedelta(days=32)).replace(day=1)),
            "ChargePeriodStart": _time(self.begin),
            "ChargePeriodEnd": _time(self.end),
            "ChargeCategory": self.charge_category,
            "ChargeFrequency": {"Usage": "Usage-Based", "Purchase": "Recurring"}.get(self.charge_category, "One-Time"),
            "ChargeDescription": self.description,
            "BilledCost": cost,
            "EffectiveCost": cost,
            "ContractedCost": cost,
            "ListCost": str(_money(self.quantity * self.list_price)),
            "InvoiceId": f"{self.vendor.account}-{month:%Y-%m}",
            "InvoiceIssuerName": self.vendor.name,
            "ProviderName": self.vendor.name,
            "PublisherName": self.vendor.name,
            "RegionId": self.vendor.region,
            "RegionName": self.vendor.region,
            "ServiceCategory": self.category,
            "ServiceName": self.service,
            "ServiceSubcategory": self.subcategory,
            "ResourceId": self.resource,
            "ResourceName": self.resource,
            "ResourceType": self.resource_type,
            "Tags": json.dumps(self.tags) if self.tags else "",
        }
        if metered:
            sku = self.sku or self.service.replace(" ", "-").lower()
            values |= {
                "PricingCategory": self.pricing,
                "PricingCurrency": self.vendor.currency,
                "PricingQuantity": str(self.quantity),
                "PricingUnit": self.unit,
                "ContractedUnitPrice": str(self.price),
                "ListUnitPrice": str(self.list_price),
                "SkuId": sku,
                "SkuMeter": self.meter or self.unit,
                "SkuPriceId": f"{sku}.{self.meter or self.unit}".replace(" ", "-").lower(),
                "SkuPriceDetails": json.dumps(self.details) if self.details else "",
            }
        if self.commitment:
            values |= {
                "CommitmentDiscountCategory": "Usage",
                "CommitmentDiscountId": self.commitment,
                "CommitmentDiscountName": self.commitment,
                "CommitmentDiscountType": "Reservation",
                "CommitmentDiscountStatus": "Used",
                "CommitmentDiscountQuantity": str(self.quantity),
                "CommitmentDiscountUnit": self.unit,
            }
        if self.charge_category == "Usage":
            values |= {"ConsumedQuantity": str(self.quantity), "ConsumedUnit": self.unit}
        return {column: values.get(column, "") for column in COLUMNS}


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("1E-10"), ROUND_HALF_UP)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
