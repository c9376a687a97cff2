"""Google Cloud's billing exports as FOCUS rows: detailed and standard usage cost, flattened or nested, and FOCUS.

What an export is shows in its columns, never in its name. A credit is inside the net of the row that it was given for;
a promotional one, which somebody granted and which runs out, is a row of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext

import polars as pl

from collectors import providers, regions
from collectors.gcp_services import part_of_compute_engine, service_category
from collectors.gcp_values import credits_of, fields_of, object_of, tags_of
from collectors.lines import UnreadableError
from collectors.machines import google_gpus, price_details
from collectors.raw import LINE, PROBLEM, RAW
from collectors.units import in_focus_units
from farthing.lake.schemas import CHARGES, EXACT, MONEY

_EXACT = pl.Decimal(38, 24)
#: Google's invoice month begins at midnight here.
_ZONE = "America/Los_Angeles"
_NEEDED = ("billing_account_id", "cost", "currency", "invoice.month", "usage_start_time", "usage_end_time")
_FOCUS_NEEDED = ("BilledCost", "BillingAccountId", "ChargePeriodStart")
#: Columns that become FOCUS columns, or are read for them, and are not kept a second time.
_PLACED = frozenset(
    "billing_account_id service.description sku.id sku.description usage_start_time usage_end_time project.id "
    "project.name project.labels labels system_labels tags location.region location.zone currency cost_at_list "
    "usage.amount usage.amount_in_pricing_units invoice.month resource.name resource.global_name "
    "price.effective_price".split()
)
_READ = frozenset(
    "cost credits cost_type seller_name subscription.instance_id location.location usage.unit usage.pricing_unit "
    "price.pricing_unit_quantity".split()
)
#: Columns that are structs; a file may have them as JSON, or as Python prints them.
_STRUCTS = sorted({name.split(".")[0] for name in _PLACED | _READ if "." in name})
#: A credit that was taken apart: then its row is there once for each credit, with the whole cost.
_TAKEN_APART = re.compile(r"credits?[^a-z0-9]+amount")
_CATEGORIES = {"regular": "Usage", "tax": "Tax", "adjustment": "Adjustment", "rounding_error": "Adjustment"}
_PROMOTION = pl.Struct(dict.fromkeys(("name", "id", "amount"), pl.String))
_CREDITS = pl.Struct(
    {**dict.fromkeys(("total", "commitment", "problem"), pl.String), "promotions": pl.List(_PROMOTION)}
)
#: What a promotional credit does not share with the row that it was given for.
_OF_USE = (
    "ChargeClass ChargeFrequency PricingCategory PricingQuantity PricingUnit ContractedUnitPrice ConsumedQuantity "
    "ConsumedUnit CommitmentDiscountId CommitmentDiscountType CommitmentDiscountCategory CommitmentDiscountStatus "
    "CommitmentDiscountQuantity CommitmentDiscountUnit x_CommitmentCredit cost credits usage.amount usage.unit "
    "usage.pricing_unit price.effective_price".split()
)
_NUMBERS = [field.name for field in CHARGES.schema if field.type in (MONEY, EXACT) and not field.name.startswith("x_")]
#: SKUs that are the fee of a commitment: "Commitment v1: A2 Cpu in Americas for 1 Year", "Commitment - dollar based v1:
#: GCE for 1 year".
_FEE, _SPEND = r"(?i)^commitment\b", r"(?i)dollar[ -]based|spend[ -]based|flexible"
#: Units of sizes in bytes -> the same in billions, for numbers of them are long.
_SIZED = {"bytes": "GB", "byte-seconds": "GB-Seconds"}
_SPOT = r"(?i)\bspot\b|preemptible"


def form_of(columns: Sequence[str]) -> str:
    """What Google calls an export with these columns, structs as dotted names.

    Raises:
        UnreadableError: it is none of Google's, with what it lacks.
    """
    lowered = {name.lower() for name in columns}
    if all(name.lower() in lowered for name in _FOCUS_NEEDED):
        if "servicesubcategory" in lowered or "skumeter" in lowered:
            return "FOCUS 1.2"
        return "FOCUS export" if "x_exporttime" in lowered else "FOCUS 1.0"
    native = _native(columns)
    lacking = [name for name in _NEEDED if not {name, name.split(".")[0]} & native.keys()]
    if lacking:
        raise UnreadableError(f"no billing export of Google Cloud: it has no {', '.join(lacking)}")
    if apart := next((name for name in columns if _TAKEN_APART.fullmatch(name.lower())), None):
        raise UnreadableError(
            f"its credits were taken apart ({apart}), which repeats the cost of a row for each of its credits; export "
            "it with the array in one column `credits`, as JSON"
        )
    detailed = any(name.split(".")[0] == "resource" for name in native)
    return "detailed usage cost export" if detailed else "standard usage cost export"


def in_focus(rows: pl.LazyFrame, account_names: Mapping[str, str] | None = None) -> tuple[str, pl.LazyFrame]:
    """The form of `rows`, whose columns are Google's, and the same rows in FOCUS columns; all values are text.

    `account_names` has the names of billing accounts by their ids, where they are known.

    Raises:
        UnreadableError: the columns are of none of Google's exports.
    """
    texts = _unpacked(as_text(rows))
    columns = [name for name in texts.collect_schema().names() if name not in (LINE, RAW, PROBLEM)]
    form = form_of(columns)
    return form, _focus(texts, columns) if form.startswith("FOCUS") else _usage_cost(
        texts, columns, account_names or {}
    )


def as_text(rows: pl.LazyFrame) -> pl.LazyFrame:
    """All values as text: structs as dotted columns, arrays as JSON, times with their zone; what is empty is null."""
    made = []
    for name, kind in rows.collect_schema().items():
        made += [pl.col(name)] if name in (LINE, RAW, PROBLEM) else _texts(pl.col(name), name, kind)
    return rows.select(made)


def _texts(value: pl.Expr, name: str, kind: pl.DataType) -> list[pl.Expr]:
    if isinstance(kind, pl.Struct):
        return [
            one
            for field in kind.fields
            for one in _texts(value.struct.field(field.name), f"{name}.{field.name}", field.dtype)  # type: ignore[arg-type]
        ]
    text: pl.Expr
    if isinstance(kind, pl.List):
        wrapped = pl.struct(value.cast(_for_json(kind)).alias("a")).struct.json_encode()
        text = pl.when(value.is_not_null()).then(
            wrapped.str.slice(len('{"a":'), wrapped.str.len_chars() - len('{"a":}'))
        )
    elif isinstance(kind, pl.Datetime):
        zoned = value.dt.convert_time_zone("UTC") if kind.time_zone else value
        text = zoned.dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")
    else:
        text = value.cast(pl.String)
    return [pl.when(~text.str.strip_chars().is_in(["", "NULL"])).then(text).alias(name)]


def _for_json(kind: pl.DataType) -> pl.DataType:
    """The type of the same lists and structs with text where polars cannot make JSON of what is in them."""
    if isinstance(kind, pl.List):
        return pl.List(_for_json(kind.inner))  # type: ignore[arg-type]
    if isinstance(kind, pl.Struct):
        return pl.Struct([pl.Field(field.name, _for_json(field.dtype)) for field in kind.fields])  # type: ignore[arg-type]
    plain = kind.is_integer() or kind.is_float() or kind == pl.Boolean
    return kind if plain else pl.String()


def _unpacked(texts: pl.LazyFrame) -> pl.LazyFrame:
    """With the fields of structs that are text as dotted columns; text that is no object stays in its column."""
    for name in [one for one in texts.collect_schema().names() if one.lower() in _STRUCTS]:
        different = texts.select(pl.col(name).unique()).collect().to_series().drop_nulls().to_list()
        fields = {text: found for text in different if (found := fields_of(text)) is not None}
        if not fields:
            continue
        columns = dict.fromkeys(f"{name}.{field}" for one in fields.values() for field in one)
        table = pl.LazyFrame(
            [
                {name: text, **{f"{name}.{field}": value for field, value in one.items()}}
                for text, one in fields.items()
            ],
            schema=dict.fromkeys([name, *columns], pl.String),
        ).with_columns(pl.lit(value=True).alias("~read"))
        texts = texts.join(table, on=name, how="left", maintain_order="left")
        texts = texts.with_columns(pl.when(pl.col("~read").is_null()).then(pl.col(name)).alias(name)).drop("~read")
        if len(fields) == len(different):
            texts = texts.drop(name)
    return texts


def _native(columns: Sequence[str]) -> dict[str, str]:
    """Google's dotted names -> those of the export, which may be flattened with other separators."""
    by_letters = {re.sub(r"[._]+", "_", name): name for name in (*_PLACED, *_READ, *_NEEDED)}
    return {by_letters.get(re.sub(r"[._]+", "_", name.lower()), name): name for name in columns}


def _focus(rows: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    made = {name: pl.col(name) for name in columns}
    own = {name.lower(): name for name in columns}
    for name in _NUMBERS:
        if name.lower() in own:
            made[own[name.lower()]] = fitted(pl.col(own[name.lower()]))
    for name in ("ProviderName", "ServiceProviderName", "InvoiceIssuerName"):
        if name.lower() in own:
            made[own[name.lower()]] = providers.normal(pl.col(own[name.lower()]))
    if "tags" in own:
        made[own["tags"]] = pl.col(own["tags"]).map_elements(object_of, return_dtype=pl.String)
    return rows.select(pl.col("^~.*$"), *(value.alias(name) for name, value in made.items()))


def fitted(number: pl.Expr) -> pl.Expr:
    """A number's text, cut after 24 decimals where it has more: doubles have noise there, and the lake has no room."""
    cut = number.cast(_EXACT, strict=False).cast(pl.String)
    longer = number.str.len_chars() > 24
    return (
        pl.when(longer | number.str.to_lowercase().str.contains("e")).then(pl.coalesce(cut, number)).otherwise(number)
    )


def _usage_cost(rows: pl.LazyFrame, columns: Sequence[str], account_names: Mapping[str, str]) -> pl.LazyFrame:
    """Rows of the detailed or standard export."""
    native = _native(columns)

    def own(name: str) -> pl.Expr:
        return pl.col(native[name]) if name in native else pl.lit(None, pl.String)

    rows = rows.with_columns(
        own("credits").map_elements(lambda text: vars(credits_of(text)), return_dtype=_CREDITS).alias("~credits"),
        pl.struct(own(name).alias(name) for name in ("project.labels", "tags", "labels", "system_labels"))
        .map_elements(lambda row: tags_of(*row.values()), return_dtype=pl.String)
        .alias("~tags"),
        own("invoice.month")
        .str.replace(r"\.0$", "")
        .str.replace("-", "")
        .str.to_date("%Y%m", strict=False)
        .alias("~month"),
    )
    credit, month = pl.col("~credits").struct, pl.col("~month")
    cost, cost_type = own("cost"), own("cost_type").fill_null("regular").str.to_lowercase()
    net = (cost.cast(_EXACT, strict=False) + credit.field("total").cast(_EXACT, strict=False)).cast(pl.String)
    billed = pl.when(credit.field("total").is_null()).then(fitted(cost)).otherwise(pl.coalesce(net, cost))
    resource, regular = own("resource.global_name"), cost_type == "regular"
    fee = (regular & own("sku.description").str.contains(_FEE)).fill_null(value=False)
    usage = regular & ~fee
    account = own("billing_account_id")
    category = cost_type.replace_strict(_CATEGORIES, default=None, return_dtype=pl.String)
    category = pl.when(fee).then(pl.lit("Purchase")).otherwise(category)
    problem = pl.coalesce(
        *([pl.col(PROBLEM)] if PROBLEM in rows.collect_schema() else []),
        credit.field("problem"),
        pl.when(month.is_null()).then(
            pl.format("invoice.month: '{}' is no month (YYYYMM)", own("invoice.month").fill_null(""))
        ),
        pl.when(category.is_null()).then(pl.format("cost_type: '{}' is none that is known", cost_type)),
    )
    machine, cores = (
        pl.col("~tags").str.json_path_match(f"$['compute.googleapis.com/{label}']")
        for label in ("machine_spec", "cores")
    )
    part = part_of_compute_engine(own("service.description"), own("sku.description"))
    region = pl.coalesce(own("location.region"), own("location.location"))
    sized = own("usage.unit").is_in(list(_SIZED))
    each = own("price.pricing_unit_quantity").fill_null("1").is_in(["1", "1.0"])  # else the price is of so many units
    quantities = _quantities(own, usage, sized, each)
    earlier = _since_month(own("usage_start_time")) < month
    made: dict[str, pl.Expr] = {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ContractedCost": fitted(cost),
        "ListCost": fitted(own("cost_at_list")),
        "BillingCurrency": own("currency"),
        "BillingAccountId": account,
        "BillingAccountName": account.replace_strict(dict(account_names), default=None, return_dtype=pl.String),
        "BillingAccountType": pl.when(account.is_not_null()).then(pl.lit("Billing Account")),
        "SubAccountId": own("project.id"),
        "SubAccountName": own("project.name"),
        "SubAccountType": pl.when(own("project.id").is_not_null()).then(pl.lit("Project")),
        "BillingPeriodStart": _pacific(month),
        "BillingPeriodEnd": _pacific(month.dt.offset_by("1mo")),
        "ChargePeriodStart": own("usage_start_time"),
        "ChargePeriodEnd": own("usage_end_time"),
        "InvoiceId": own("invoice.month"),
        "InvoiceIssuerName": pl.lit("Google Cloud"),
        "ProviderName": pl.lit("Google Cloud"),
        "PublisherName": own("seller_name").fill_null("Google Cloud"),
        "ChargeCategory": category,
        "ChargeClass": pl.when((cost_type == "adjustment") & earlier).then(pl.lit("Correction")),
        "ChargeFrequency": pl.when(fee).then(pl.lit("Recurring")).when(usage).then(pl.lit("Usage-Based")),
        "ChargeDescription": own("sku.description"),
        "PricingCategory": pl.when(credit.field("commitment").is_not_null())
        .then(pl.lit("Committed"))
        .when(usage & own("sku.description").str.contains(_SPOT))
        .then(pl.lit("Dynamic"))
        .when(regular)
        .then(pl.lit("Standard")),
        **quantities,
        **_commitment(
            own("subscription.instance_id"), own("sku.description"), fee, quantities, billed, own("currency")
        ),
        "ServiceName": pl.coalesce(part, own("service.description")),
        "ServiceCategory": service_category(own("service.description"), own("sku.description")),
        "SkuId": own("sku.id"),
        "SkuPriceId": own("sku.id"),
        "SkuMeter": own("sku.description"),
        "SkuPriceDetails": price_details(machine, {"CoreCount": cores, "GpuCount": google_gpus(machine)}, {}),
        "ResourceId": resource,
        "ResourceName": own("resource.name"),
        "ResourceType": resource.str.extract(r"/([^/]+)/[^/]+$"),
        "RegionId": region,
        "RegionName": regions.named(region.str.replace(r"-[a-z]$", ""), regions.GOOGLE),
        "AvailabilityZone": own("location.zone"),
        "Tags": pl.col("~tags"),
        "x_CommitmentCredit": credit.field("commitment"),
        "x_MachineSpec": machine,
    }
    made |= {name: pl.col(column) for name, column in native.items() if name not in _PLACED}
    made["service.description"] = pl.when(part.is_not_null()).then(own("service.description"))
    taken = (quantities["ConsumedQuantity"].is_not_null() & ~sized).fill_null(value=False)
    made["usage.amount"] = pl.when(~taken).then(own("usage.amount"))
    made["price.effective_price"] = pl.when(~each).then(own("price.effective_price"))
    charges = rows.with_columns(problem.alias(PROBLEM), *(value.alias(f"={name}") for name, value in made.items()))
    good = pl.col(PROBLEM).is_null() & cost.cast(_EXACT, strict=False).is_not_null()
    promotions = _promotions(charges.filter(good), rows)
    notes = [name for name in (LINE, RAW, PROBLEM) if name in charges.collect_schema()]
    together = pl.concat([charges, promotions], how="diagonal")
    return together.select(*notes, *(pl.col(f"={name}").alias(name) for name in (*made, "x_CreditId")))


def _quantities(own: Callable[[str], pl.Expr], usage: pl.Expr, sized: pl.Expr, each: pl.Expr) -> dict[str, pl.Expr]:
    """Quantities with their units, one never without the other; what is in bytes is in GB, or the lake had no room."""
    amount, unit = own("usage.amount"), in_focus_units(own("usage.unit"))
    amount = pl.when(sized).then(amount.map_elements(_billionth, return_dtype=pl.String)).otherwise(amount)
    unit = pl.when(sized).then(own("usage.unit").replace(_SIZED)).otherwise(unit)
    consumed = pl.when(usage & unit.is_not_null()).then(_within(amount))
    priced, pricing = fitted(own("usage.amount_in_pricing_units")), in_focus_units(own("usage.pricing_unit"))
    return {
        "PricingQuantity": pl.when(pricing.is_not_null()).then(priced),
        "PricingUnit": pl.when(priced.is_not_null()).then(pricing),
        "ContractedUnitPrice": pl.when(each).then(fitted(own("price.effective_price"))),
        "ConsumedQuantity": consumed,
        "ConsumedUnit": pl.when(consumed.is_not_null()).then(unit),
    }


def _commitment(
    commitment: pl.Expr,
    sku: pl.Expr,
    fee: pl.Expr,
    quantities: Mapping[str, pl.Expr],
    billed: pl.Expr,
    currency: pl.Expr,
) -> dict[str, pl.Expr]:
    """The columns of a commitment, where the export names one; whether it is of money or of use tells its fee alone."""
    named = commitment.is_not_null()
    spend = sku.str.contains(_SPEND).fill_null(value=False)
    return {
        "CommitmentDiscountId": commitment,
        "CommitmentDiscountType": pl.when(named).then(pl.lit("Committed Use Discount")),
        "CommitmentDiscountCategory": pl.when(named & spend).then(pl.lit("Spend")).when(named).then(pl.lit("Usage")),
        "CommitmentDiscountStatus": pl.when(named & ~fee).then(pl.lit("Used")),
        "CommitmentDiscountQuantity": pl.when(named & spend)
        .then(billed)
        .when(named)
        .then(quantities["PricingQuantity"]),
        "CommitmentDiscountUnit": pl.when(named & spend).then(currency).when(named).then(quantities["PricingUnit"]),
    }


def _promotions(charges: pl.LazyFrame, rows: pl.LazyFrame) -> pl.LazyFrame:
    """The promotional credits of `charges`, each a row with place, time and tags of the one that it was given for.

    Their lines follow the last of `rows`, for in the file they have none.
    """
    given = charges.with_columns(pl.col("~credits").struct.field("promotions").alias("~given")).explode("~given")
    given = given.filter(pl.col("~given").struct.field("amount").is_not_null())
    if LINE in rows.collect_schema():
        last = rows.select(pl.col(LINE).max()).collect().item() or 0
        given = given.drop(LINE).with_row_index(LINE, offset=last + 1).with_columns(pl.col(LINE).cast(pl.Int64))
    one = pl.col("~given").struct
    amount = fitted(one.field("amount"))
    return given.with_columns(
        *(amount.alias(f"={name}") for name in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")),
        *(pl.lit(None, pl.String).alias(f"={name}") for name in _OF_USE),
        pl.lit("Credit").alias("=ChargeCategory"),
        one.field("name").alias("=ChargeDescription"),
        one.field("id").alias("=x_CreditId"),
    )


def _billionth(number: str) -> str:
    """A number's text divided by 10**9, exactly; what is no number stays as it is."""
    try:
        with localcontext(prec=60):
            return format(Decimal(number).scaleb(-9), "f")
    except InvalidOperation:
        return number


def _within(quantity: pl.Expr) -> pl.Expr:
    """A quantity, if the lake has room for it; else it stays in `x_extra`."""
    return pl.when(quantity.cast(_EXACT, strict=False).is_not_null()).then(fitted(quantity))


def _pacific(month: pl.Expr) -> pl.Expr:
    """The moment in UTC at which a month begins for Google's invoices, as text."""
    began = month.cast(pl.Datetime("us")).dt.replace_time_zone(_ZONE).dt.convert_time_zone("UTC")
    return began.dt.to_string("%Y-%m-%dT%H:%M:%SZ")


def _since_month(time: pl.Expr) -> pl.Expr:
    """The first day of the Pacific month that a UTC time is in."""
    moment = time.str.slice(0, 19).str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    return moment.dt.replace_time_zone("UTC").dt.convert_time_zone(_ZONE).dt.date().dt.truncate("1mo")
