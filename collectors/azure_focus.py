"""Azure's charges as FOCUS rows: what each column of FOCUS is, said of the fields that `azure_names` knows."""

from __future__ import annotations

import polars as pl

from collectors import regions
from collectors.azure_names import CATEGORY_OF, ML_SERVICES
from collectors.machines import azure_gpus, price_details
from collectors.providers import normal
from collectors.units import in_focus_units

UNUSED = ("unusedreservation", "unusedsavingsplan")
NOT_ZERO = r"^[^eE]*[1-9]"  # a number's text
_COMMITTED = ("reservation", "savingsplan")
_PURCHASES = ("purchase", "refund")
_PRICING = {"ondemand": "Standard", "reservation": "Committed", "savingsplan": "Committed", "spot": "Dynamic"}
_CATEGORIES = {
    "usage": "Usage",
    **dict.fromkeys(UNUSED, "Usage"),
    "purchase": "Purchase",
    "tax": "Tax",
    "credit": "Credit",
}


def in_focus(rows: pl.LazyFrame, billed: pl.Expr, effective: pl.Expr) -> pl.LazyFrame:
    """Rows of `azure_costs.Details` in FOCUS, with what is billed and what it costs; other columns go along."""
    names = rows.collect_schema().names()
    columns = {
        "BilledCost": billed,
        "EffectiveCost": effective,
        **_parties(),
        **_times(),
        **_charge(),
        **_prices(),
        **_service(),
        **_resource(),
        **_commitment(),
    }
    own = {name.removeprefix("own:"): pl.col(name) for name in names if name.startswith("own:")}
    kept = {  # what FOCUS has a place for, but not here
        "Quantity": pl.when(pl.col("unit").is_null()).then(pl.col("quantity")),
        "MeterCategory": pl.when(pl.col("category") != _service_name()).then(pl.col("category")),
        "ResourceLocation": pl.when(pl.col("region") != _region_name()).then(pl.col("region")),
    }
    return rows.select(
        *(name for name in names if name.startswith("~")),
        *(value.alias(name) for name, value in (columns | kept | own).items()),
    )


def focus_rows(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A FOCUS export with ids that can be joined and providers' normal names; ids as delivered are kept as x_."""
    by_lower = {name.lower(): name for name in rows.collect_schema().names()}
    made = []
    for column in ("resourceid", "commitmentdiscountid"):
        if name := by_lower.get(column):
            made += [pl.col(name).str.to_lowercase().alias(name), _as_delivered(pl.col(name)).alias(f"x_{name}")]
    for column in ("providername", "invoiceissuername"):
        if name := by_lower.get(column):
            made.append(normal(pl.col(name)).alias(name))
    return rows.with_columns(made)


def covered() -> pl.Expr:
    """Rows whose cost a commitment has paid: its use, and what of it nobody used."""
    kind = pl.col("charge_type").str.to_lowercase()
    used = kind.is_null() | (kind == "usage")
    return (kind.is_in(UNUSED) | (used & _of_commitment())).fill_null(value=False)


def commitment_bought() -> pl.Expr:
    """Rows that buy a commitment, or give it back."""
    return (pl.col("charge_type").str.to_lowercase().is_in(_PURCHASES) & _of_commitment()).fill_null(value=False)


def _of_commitment() -> pl.Expr:
    model = pl.col("pricing_model").str.to_lowercase()
    told = pl.coalesce("benefit_id", "reservation_id").is_not_null()
    return model.is_in(_COMMITTED).fill_null(value=False) | (model.is_null() & told)


# -- columns ----------------------------------------------------------------------------------------------------


def _there() -> pl.Expr:
    """Whether there is a row at all: a damaged line has nothing."""
    return pl.any_horizontal(pl.col("cost", "date").is_not_null())


def _lower(field: str) -> pl.Expr:
    return pl.col(field).str.to_lowercase()


def _parties() -> dict[str, pl.Expr]:
    microsoft = pl.when(_there()).then(pl.lit("Microsoft"))
    own = _lower("publisher_type").ne_missing("marketplace")
    return {
        "BillingAccountId": pl.col("account_id"),
        "BillingAccountName": pl.col("account_name"),
        "SubAccountId": pl.col("subscription_id"),
        "SubAccountName": pl.col("subscription_name"),
        "SubAccountType": pl.when(pl.col("subscription_id").is_not_null()).then(pl.lit("Subscription")),
        "InvoiceId": pl.col("invoice_id"),
        "InvoiceIssuerName": pl.coalesce(pl.col("reseller"), microsoft),
        "ProviderName": microsoft,
        "PublisherName": pl.coalesce(pl.col("publisher"), pl.when(own).then(microsoft)),
    }


def _times() -> dict[str, pl.Expr]:
    """Azure names the first and the last day; FOCUS ends with the moment after."""
    begin, last = pl.col("date~day"), pl.col("period_end~day")
    period = pl.coalesce("period_start~day", begin.dt.month_start())
    after_already = (last.dt.day() == 1) & (period.dt.day() == 1) & (last > period)
    period_end = pl.when(after_already).then(last).otherwise(last.dt.offset_by("1d"))
    return {
        "BillingPeriodStart": _moment(period, "period_start"),
        "BillingPeriodEnd": _moment(pl.coalesce(period_end, period.dt.offset_by("1mo")), "period_end"),
        "ChargePeriodStart": _moment(begin, "date"),
        "ChargePeriodEnd": _moment(begin.dt.offset_by("1d"), "date"),
    }


def _moment(day: pl.Expr, field: str) -> pl.Expr:
    """The beginning of a day; a date that is none stays as it is, so that the reject shows it."""
    return pl.coalesce(day.cast(pl.String), pl.col(field))


def _charge() -> dict[str, pl.Expr]:
    kind = _lower("charge_type").fill_null("usage")  # the legacy form has only usage, and does not say so
    category = kind.replace_strict(_CATEGORIES, default="Adjustment", return_dtype=pl.String)
    return {
        "ChargeCategory": pl.when(_there()).then(category),
        "ChargeDescription": pl.coalesce("product", "meter"),
        "ChargeFrequency": pl.col("frequency").replace({"OneTime": "One-Time", "UsageBased": "Usage-Based"}),
    }


def _prices() -> dict[str, pl.Expr]:
    """MCA states unit prices in the pricing currency, which need not be that of the bill."""
    pricing = pl.col("pricing_currency")
    same = pricing.is_null() | (pricing == pl.col("currency"))
    used = _lower("charge_type").fill_null("usage") == "usage"
    unit = in_focus_units(pl.col("unit"))
    quantity = pl.when(unit.is_not_null()).then(pl.col("quantity"))  # without a unit it is none in FOCUS
    unit = pl.when(quantity.is_not_null()).then(unit)
    prices = {"ListUnitPrice": _unless_zero("list_price"), "ContractedUnitPrice": _unless_zero("unit_price")}
    return {
        "BillingCurrency": pl.col("currency"),
        "ListCost": pl.col("list_cost"),
        "PricingCategory": _lower("pricing_model").replace_strict(_PRICING, default=None, return_dtype=pl.String),
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "PricingCurrency": pricing,
        **{name: pl.when(same).then(price) for name, price in prices.items()},
        **{f"PricingCurrency{name}": pl.when(pricing.is_not_null()).then(price) for name, price in prices.items()},
        "ConsumedQuantity": pl.when(used).then(quantity),
        "ConsumedUnit": pl.when(used).then(unit),
    }


def _unless_zero(field: str) -> pl.Expr:
    """A price; where it has none Azure writes 0."""
    return pl.when(pl.col(field).str.contains(NOT_ZERO)).then(pl.col(field))


def _service() -> dict[str, pl.Expr]:
    def told(field: str) -> pl.Expr:
        return _lower(field).replace_strict(CATEGORY_OF, default=None, return_dtype=pl.String)

    learning = pl.when(_learning().is_not_null()).then(pl.lit("AI and Machine Learning"))
    return {
        "ServiceName": _service_name(),
        "ServiceCategory": pl.when(_there()).then(
            pl.coalesce(learning, told("category"), told("family"), pl.lit("Other"))
        ),
        "SkuId": pl.col("meter_id"),
        "SkuPriceId": pl.col("meter_id"),
        "SkuMeter": pl.col("meter"),
        "SkuPriceDetails": _machine(),
    }


def _learning() -> pl.Expr:
    """The machine learning service that consumed what was charged, if one did."""
    return _lower("consumed_service").replace_strict(ML_SERVICES, default=None, return_dtype=pl.String)


def _service_name() -> pl.Expr:
    name = pl.col("category").replace("Unassigned", None)
    offer = pl.when(_lower("publisher_type") == "marketplace").then(pl.coalesce("plan", "publisher"))
    return pl.coalesce(_learning(), name, offer, pl.col("consumed_service"), pl.col("family"))


def _machine() -> pl.Expr:
    """The machine's size, which Azure says only in AdditionalInfo; other services name things of theirs there."""
    info = pl.col("additional")
    size = info.str.extract(r'"ServiceType"\s*:\s*"((?:Standard|Basic)_[\w.+-]+)"')
    cores = info.str.extract(r'"VCPUs"\s*:\s*"?(\d+)')
    return price_details(size, {"CoreCount": cores, "GpuCount": azure_gpus(size)}, {})


def _resource() -> dict[str, pl.Expr]:
    resource, tags = pl.col("resource_id"), pl.col("tags")
    in_id = resource.str.to_lowercase().str.extract(r"/providers/([^/]+/[^/]+)/[^/]")
    return {
        "ResourceId": resource.str.to_lowercase(),
        "x_ResourceId": _as_delivered(resource),
        "ResourceName": pl.col("resource_name"),
        "ResourceType": pl.coalesce(_lower("resource_type"), in_id),
        "RegionId": regions.azure_id(pl.col("region")),
        "RegionName": _region_name(),
        "AvailabilityZone": pl.col("zone"),
        "Tags": pl.when(tags.str.starts_with("{")).then(tags).otherwise("{" + tags + "}"),
    }


def _region_name() -> pl.Expr:
    region = pl.col("region")
    return pl.coalesce(regions.named(regions.azure_id(region), regions.AZURE), region)


def _as_delivered(text: pl.Expr) -> pl.Expr:
    """The text where lower case is not what was delivered."""
    return pl.when(text != text.str.to_lowercase()).then(text)


def _commitment() -> dict[str, pl.Expr]:
    commitment = pl.coalesce("benefit_id", "reservation_id")
    plan = (_lower("pricing_model") == "savingsplan").fill_null(value=False) | _lower("benefit_id").str.contains(
        "savingsplan", literal=True
    ).fill_null(value=False)
    unused = _lower("charge_type").is_in(UNUSED).fill_null(value=False)

    def known(value: pl.Expr) -> pl.Expr:
        return pl.when(commitment.is_not_null()).then(value)

    return {
        "CommitmentDiscountId": commitment.str.to_lowercase(),
        "CommitmentDiscountName": pl.coalesce("benefit_name", "reservation_name"),
        "CommitmentDiscountType": known(pl.when(plan).then(pl.lit("Savings Plan")).otherwise(pl.lit("Reservation"))),
        "CommitmentDiscountCategory": known(pl.when(plan).then(pl.lit("Spend")).otherwise(pl.lit("Usage"))),
        "CommitmentDiscountStatus": known(
            pl.when(covered()).then(pl.when(unused).then(pl.lit("Unused")).otherwise(pl.lit("Used")))
        ),
    }
