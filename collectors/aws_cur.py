"""AWS bills as FOCUS rows: cost and usage reports of all ages, and FOCUS as AWS writes it.

A report has one row per charge with the cash amount (unblended) and, for what commitments cover, the amortised one;
which of them a row's cost is depends on its line type. Columns are found by their letters alone, so
`lineItem/UsageType` and `line_item_usage_type` are the same; what FOCUS has no place for stays under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import polars as pl

from collectors import regions
from collectors.aws_services import part_of_ec2, service_category
from collectors.combinations import Made
from collectors.frames import NOTHING, case, filled, json_object, json_of_entries
from collectors.lines import UnreadableError
from collectors.machines import aws_gpus, price_details
from collectors.providers import normal
from collectors.raw import LINE, PROBLEM, RAW
from collectors.units import in_focus_units
from farthing.lake.schemas import CHARGES

_EXACT = pl.Decimal(38, 24)
_FOCUS_NAMES = {name.lower() for name in CHARGES.columns}
#: Line types that are discounts in lines of their own; where there are some, unblended amounts are what is billed.
DISCOUNTS = (
    "BundledDiscount", "Discount", "EdpDiscount", "PrivateRateDiscount", "RiVolumeDiscount", "SppDiscount",
    "FlatRateSubscriptionDiscount",
)  # fmt: skip
_COVERED = ("DiscountedUsage", "SavingsPlanCoveredUsage", "SavingsPlanNegation")
_USAGE = ("Usage", *_COVERED)
_PURCHASES = ("Fee", "RIFee", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee")
_CATEGORIES = {
    **dict.fromkeys(_USAGE, "Usage"),
    **dict.fromkeys(_PURCHASES, "Purchase"),
    "Tax": "Tax",
    "Credit": "Credit",
}
#: FOCUS column -> the report's columns, the first that has something; these are what the report says, word for word.
_SAME = {
    "InvoiceId": ("bill_invoice_id",),
    "BillingAccountId": ("bill_payer_account_id",),
    "BillingAccountName": ("bill_payer_account_name",),
    "SubAccountId": ("line_item_usage_account_id",),
    "SubAccountName": ("line_item_usage_account_name",),
    "BillingCurrency": ("line_item_currency_code",),
    "BillingPeriodStart": ("bill_billing_period_start_date",),
    "BillingPeriodEnd": ("bill_billing_period_end_date",),
    "ChargePeriodStart": ("line_item_usage_start_date",),
    "ChargeDescription": ("line_item_line_item_description",),
    "ResourceId": ("line_item_resource_id",),
    "AvailabilityZone": ("line_item_availability_zone",),
    "RegionId": ("product_region_code", "product_region"),
    "SkuId": ("product_sku",),
    "SkuMeter": ("line_item_usage_type",),
    "CapacityReservationId": ("capacity_reservation_capacity_reservation_arn",),
}
#: What a usage type ends with where it is that of a machine: `USE1-BoxUsage:p5.48xlarge`.
_INSTANCE_TYPE = r"(?:BoxUsage|SpotUsage|HeavyUsage|DedicatedUsage|UnusedBox|UnusedDed|Reservation):([\w-]+\.[\w.-]+)$"
_NEEDED = (
    "line_item_line_item_type", "line_item_unblended_cost", "line_item_currency_code", "line_item_usage_start_date",
    "line_item_usage_end_date", "bill_billing_period_start_date", "bill_billing_period_end_date",
)  # fmt: skip
#: What reservations and savings plans need to be amortised; a report without them shows cash.
_RESERVED = ("reservation_effective_cost",)
_SAVINGS = ("savings_plan_savings_plan_effective_cost",)


def form_of(columns: Sequence[str]) -> str:
    """What AWS calls a bill with these columns.

    Raises:
        UnreadableError: it is neither a cost and usage report nor FOCUS.
    """
    names = set(columns)
    if {"BilledCost", "ChargePeriodStart"} <= names:
        since = {
            "ServiceProviderName": "1.3",
            "InvoiceId": "1.2",
            "PricingCurrency": "1.2",
            "ServiceSubcategory": "1.1",
        }
        return "FOCUS " + next((version for column, version in since.items() if column in names), "1.0")
    report = Report(columns)
    missing = [name for name in _NEEDED if not report.has(name)]
    if missing:
        raise UnreadableError(
            f"this is no bill of AWS that is known: a cost and usage report needs {', '.join(missing)}, "
            f"FOCUS needs BilledCost, ChargePeriodStart; it has: {', '.join(columns)}"
        )
    if "lineItem/LineItemType" in names:
        return "CUR (legacy)"
    return "CUR 2.0" if report.has("resource_tags") or report.has("product") else "CUR (legacy), Parquet"


def in_focus(rows: pl.LazyFrame) -> list[Made]:
    """The rows of a report or of a FOCUS export of AWS in FOCUS columns; each is made of one line alone.

    Raises:
        UnreadableError: it is neither.
    """
    schema = rows.collect_schema()
    names = [name for name in schema if name not in (LINE, RAW, PROBLEM)]
    if form_of(names).startswith("FOCUS"):
        parties = [name for name in ("ProviderName", "ServiceProviderName", "InvoiceIssuerName") if name in names]
        normalised = [normal(pl.col(name)).alias(name) if name in parties else pl.col(name) for name in schema]
        return [Made(rows, normalised)]
    return Report(names, schema).in_focus(rows)


class Report:
    """A cost and usage report with these columns."""

    def __init__(self, columns: Iterable[str], schema: pl.Schema | None = None) -> None:
        self._columns = list(columns)
        self._schema = schema or pl.Schema()
        self._by_letters = {_letters(name): name for name in reversed(self._columns)}
        self._used: set[str] = set()
        self._net = False

    def has(self, *names: str) -> bool:
        """Whether the report has all the columns `names`, in either spelling."""
        return all(_letters(name) in self._by_letters for name in names)

    def in_focus(self, rows: pl.LazyFrame) -> list[Made]:
        """The lines in FOCUS columns, with what is left of the report's own; then what nobody used of their fees."""
        self._net = self._bills_net(rows)
        kept = [name for name in (LINE, RAW, PROBLEM) if name in self._schema]
        made = {**self._same(), **self._what(), **self._sku(), **self._costs(), **self._amounts(), "Tags": self._tags()}
        rest = [name for name in self._columns if name not in self._used]
        columns = [*map(pl.col, kept), *(expression.alias(name) for name, expression in made.items())]
        lines = Made(rows, [*columns, *(self._own(name) for name in rest)])
        unused = {**made, **self._as_unused(), LINE: -pl.col(LINE)}
        kinds = lines.frame.collect_schema()
        parts = [unused.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in kinds.items()]
        return [lines, Made(rows, parts, where=self._idle)]

    def _as_unused(self) -> dict[str, pl.Expr]:
        """What is other in the row for what nobody used of a fee; what was paid stays with the row of the fee."""
        nothing, unknown = self._amount("0"), self._amount(None)
        is_plan = self._type.str.starts_with("SavingsPlan")
        quantity = case((is_plan, self._unused), otherwise=self._number("reservation_unused_quantity"))
        hour = pl.coalesce(self._col("pricing_unit"), pl.lit("Hrs"))
        return {
            **dict.fromkeys(("BilledCost", "ListCost", "ContractedCost"), nothing),
            "EffectiveCost": self._unused,
            "ChargeCategory": pl.lit("Usage"),
            "PricingCategory": pl.lit("Committed"),
            "CommitmentDiscountStatus": pl.lit("Unused"),
            "CommitmentDiscountQuantity": quantity,
            "CommitmentDiscountUnit": case(
                (quantity.is_null(), None), (is_plan, self._col("line_item_currency_code")), otherwise=hour
            ),
            **dict.fromkeys(("PricingQuantity", "ListUnitPrice", "ContractedUnitPrice"), unknown),
            "PricingUnit": NOTHING,
        }

    def _own(self, name: str) -> pl.Expr:
        """A column under its own name, unless FOCUS means something else by that."""
        value = pl.col(name)
        if self._schema[name] == pl.Float64 and re.match("reservation|savings_?plan", name, re.IGNORECASE):
            value = pl.when(self._committed | (value != 0)).then(value)  # Parquet says 0.0 where it means nothing
        return value.alias(f"x_{name}") if name.lower() in _FOCUS_NAMES else value

    @property
    def _committed(self) -> pl.Expr:
        """Whether the line has to do with a commitment."""
        arns = self._col("reservation_reservation_a_r_n"), self._col("savings_plan_savings_plan_a_r_n")
        return pl.any_horizontal(one.is_not_null() for one in arns)

    # -- columns of the report ----------------------------------------------------------------------------------

    def _name(self, name: str) -> str:
        return self._by_letters[_letters(name)]

    def _kind(self, name: str) -> pl.DataType:
        return self._schema[self._name(name)]

    def _col(self, *names: str) -> pl.Expr:
        """The first of `names` that the report has and that is not empty, null where there is none."""
        found = [
            filled(pl.col(self._name(name))) if self._kind(name) == pl.String else pl.col(self._name(name))
            for name in names
            if self.has(name)
        ]
        return pl.coalesce(found) if len(found) > 1 else found[0] if found else NOTHING

    def _number(self, *names: str) -> pl.Expr:
        """Numbers as text, as the report has them; of doubles their shortest text, as decimals."""
        number = self._col(*names).cast(pl.String)
        return number if self._in_text else number.cast(_EXACT, strict=False)

    def _amount(self, text: str | None) -> pl.Expr:
        """A number of our own, as those of the report are."""
        number = pl.lit(text, pl.String)
        return number if self._in_text else number.cast(_EXACT)

    @property
    def _in_text(self) -> bool:
        return self._kind("line_item_unblended_cost") == pl.String

    def _taken(self, *names: str) -> pl.Expr:
        """The same; FOCUS has a place for what the first of them says, so it does not stay under its own name."""
        first = next((name for name in names if self.has(name)), None)
        if first:
            self._used.add(self._name(first))
        return self._col(*names)

    @property
    def _type(self) -> pl.Expr:
        return self._col("line_item_line_item_type")

    def _is(self, *types: str) -> pl.Expr:
        return self._type.is_in(types).fill_null(value=False)

    # -- what is charged ----------------------------------------------------------------------------------------

    def _same(self) -> dict[str, pl.Expr]:
        return {focus: self._taken(*names) for focus, names in _SAME.items() if any(map(self.has, names))}

    def _what(self) -> dict[str, pl.Expr]:
        """Categories, parties, the service, and the end of the charge."""
        seller, code = self._col("line_item_legal_entity"), self._col("line_item_product_code")
        name = pl.coalesce(
            self._taken("product_product_name"),
            self._of_map("product", "product_name"),
            self._col("product_servicename"),
            code,
        )
        family, usage_type = self._col("product_product_family"), self._col("line_item_usage_type")
        part = part_of_ec2(code, family, usage_type)
        status = self._col("capacity_reservation_capacity_reservation_status")
        by_type = self._type.replace_strict(_CATEGORIES, default="Adjustment", return_dtype=pl.String)
        return {
            "ChargePeriodEnd": self._end(),
            "ChargeCategory": case(
                (self._type.is_null(), None),
                (self._type.str.ends_with("Usage"), "Usage"),
                otherwise=by_type,
            ),
            "ChargeClass": case((self._is("Refund"), "Correction")),
            "ChargeFrequency": case(
                (self._is("RIFee", "SavingsPlanRecurringFee"), "Recurring"),
                (self._is(*_USAGE), "Usage-Based"),
                otherwise="One-Time",
            ),
            "ProviderName": pl.lit("AWS"),
            "PublisherName": case((self._col("bill_billing_entity") == "AWS Marketplace", seller), otherwise="AWS"),
            "InvoiceIssuerName": normal(pl.coalesce(self._col("bill_invoicing_entity"), seller, pl.lit("AWS"))),
            "ServiceName": pl.coalesce(part, name),
            "ServiceCategory": service_category(code, name, family, usage_type),
            "CapacityReservationStatus": case((status.is_in(["Used", "Unused"]), status)),
            **self._commitment(),
            **self._kept("product_product_name", part.is_not_null()),
        }

    def _kept(self, name: str, where: pl.Expr) -> dict[str, pl.Expr]:
        """A column of the report under its own name, in the rows where no column of FOCUS says the same."""
        return {self._name(name): case((where, self._col(name)))} if self.has(name) else {}

    def _sku(self) -> dict[str, pl.Expr]:
        """Where it is, and what was bought: region, resource, price, and the machine as far as the report tells."""
        family, resource = self._taken("product_product_family"), self._col("line_item_resource_id")
        sku, rate = self._col("product_sku"), self._col("pricing_rate_id")  # a rate alone can be that of several SKUs
        location, region = self._taken("product_location"), self._col("product_region_code", "product_region")
        of_usage = self._col("line_item_usage_type").str.extract(_INSTANCE_TYPE)
        machine = pl.coalesce(self._attribute("instance_type"), of_usage)
        numbers = {
            "CoreCount": self._attribute("vcpu"),
            "GpuCount": pl.coalesce(self._attribute("gpu"), aws_gpus(machine)),
            "MemorySize": self._attribute("memory").str.extract(r"^([\d.]+) GiB"),
        }
        texts = {"OperatingSystem": self._attribute("operating_system")}
        return {
            "RegionName": pl.coalesce(location, regions.named(region, regions.AWS)),
            "ResourceType": case((resource.is_not_null(), family)),
            "SkuPriceId": pl.coalesce(self._taken("pricing_rate_code"), sku + "." + rate),
            "SkuPriceDetails": price_details(machine, numbers, texts),
            **self._kept("product_product_family", resource.is_null()),
        }

    def _attribute(self, name: str) -> pl.Expr:
        """An attribute of the product, which CUR 2.0 has in a map and others in a column."""
        return pl.coalesce(self._col(f"product_{name}").cast(pl.String), self._of_map("product", name))

    def _end(self) -> pl.Expr:
        """The end of the charge period, exclusive as in FOCUS: some fees of a report end at 23:59:59."""
        end = self._taken("line_item_usage_end_date")
        if self._kind("line_item_usage_end_date") != pl.String:
            return pl.when(end.dt.second() == 59).then(end + pl.duration(seconds=1)).otherwise(end)
        last_second = pl.when(end.str.contains(":59:59", literal=True)).then(end)
        plain = last_second.str.replace(r"(\.\d+)?(Z|\+00:00)?$", "").str.replace(" ", "T")
        moved = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False) + pl.duration(seconds=1)
        return pl.coalesce(moved.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), end)

    def _commitment(self) -> dict[str, pl.Expr]:
        plan = case((self._type.str.starts_with("SavingsPlan"), self._col("savings_plan_savings_plan_a_r_n")))
        reservation = self._reservation
        is_plan, is_reserved = plan.is_not_null(), reservation.is_not_null()
        covered, used = self._is("SavingsPlanCoveredUsage"), self._is(*_COVERED)
        known = is_plan | is_reserved
        spent = case((covered, self._number(*_SAVINGS)))
        hours = case((self._is("DiscountedUsage"), self._number("line_item_usage_amount")))
        quantity = case((is_plan, spent), (is_reserved, hours))
        hour = pl.coalesce(in_focus_units(self._col("pricing_unit")), pl.lit("Hours"))
        spot = (self._col("pricing_term") == "Spot").fill_null(value=False)
        spot |= self._col("line_item_usage_type").str.contains("SpotUsage", literal=True).fill_null(value=False)
        return {
            "CommitmentDiscountId": pl.coalesce(plan, reservation),
            "CommitmentDiscountType": case((is_plan, "Savings Plan"), (is_reserved, "Reserved Instance")),
            "CommitmentDiscountCategory": case((is_plan, "Spend"), (is_reserved, "Usage")),
            "CommitmentDiscountStatus": case((known & used, "Used")),
            "CommitmentDiscountQuantity": quantity,
            "CommitmentDiscountUnit": case(
                (quantity.is_null(), None), (is_plan, self._col("line_item_currency_code")), otherwise=hour
            ),
            "PricingCategory": case(
                (used, "Committed"), (spot, "Dynamic"), (self._is("Usage", *_PURCHASES), "Standard")
            ),
        }

    @property
    def _reservation(self) -> pl.Expr:
        return case((self._is("DiscountedUsage", "RIFee", "Fee"), self._col("reservation_reservation_a_r_n")))

    # -- what it costs ------------------------------------------------------------------------------------------

    def _bills_net(self, rows: pl.LazyFrame) -> bool:
        """Whether the bill says net amounts: there are some, and discounts have no lines of their own."""
        if not self.has("line_item_net_unblended_cost"):
            return False
        said = self._col("line_item_net_unblended_cost").is_not_null().any()
        net, lines = rows.select(said.alias("net"), self._is(*DISCOUNTS).any().alias("lines")).collect().row(0)
        return bool(net) and not lines

    def _money(self, name: str) -> pl.Expr:
        """An amount as text; the net one where it is what is billed."""
        net = re.sub("^(line_item|savings_plan|reservation)_", r"\1_net_", name)
        return self._number(net, name) if self._net else self._number(name)

    def _unused_amount(self) -> pl.Expr:
        """What of a commitment's fee nobody used, as a decimal; null where the line is no such fee."""
        fee = pl.lit(None, _EXACT)
        if self.has(*_RESERVED):
            upfront = self._exact("reservation_unused_amortized_upfront_fee_for_billing_period", "RIFee")
            recurring = self._exact("reservation_unused_recurring_fee", "RIFee")
            fee = pl.when(self._is("RIFee")).then(upfront.fill_null(0) + recurring.fill_null(0))
        if self.has(*_SAVINGS, "savings_plan_total_commitment_to_date"):
            total = self._exact("savings_plan_total_commitment_to_date", "SavingsPlanRecurringFee")
            used = self._exact("savings_plan_used_commitment", "SavingsPlanRecurringFee")
            fee = pl.coalesce(total - used.fill_null(0), fee)
        return fee

    @property
    def _unused(self) -> pl.Expr:
        """The same as the other amounts are."""
        return self._unused_amount().cast(pl.String) if self._in_text else self._unused_amount()

    @property
    def _idle(self) -> pl.Expr:
        return (self._unused_amount() != 0).fill_null(value=False)

    def _exact(self, name: str, line_type: str) -> pl.Expr:
        """A decimal of the amounts of one line type; all others are not looked at."""
        return pl.when(self._is(line_type)).then(self._money(name)).cast(_EXACT, strict=False)

    def _costs(self) -> dict[str, pl.Expr]:
        billed, nothing = self._money("line_item_unblended_cost"), self._amount("0")
        child, negation = self._split_child, self._is("SavingsPlanNegation")
        amortised: list[tuple[pl.Expr, pl.Expr | str]] = [(child, nothing)]
        if self.has(*_SAVINGS):
            amortised.append((self._is("SavingsPlanCoveredUsage"), self._money(*_SAVINGS)))
            amortised.append((self._is("SavingsPlanNegation", "SavingsPlanUpfrontFee"), nothing))
        if self.has(*_RESERVED):
            amortised.append((self._is("DiscountedUsage"), self._money(*_RESERVED)))
            amortised.append((self._is("Fee") & self._reservation.is_not_null(), nothing))
        amortised.append((self._unused_amount().is_not_null(), nothing))
        listed = self._number("pricing_public_on_demand_cost")
        if self.has("pricing_public_on_demand_rate"):  # Parquet says 0.0 where no list price is known: the rate tells
            listed = case((self._col("pricing_public_on_demand_rate").is_not_null(), listed))
        list_cost = pl.coalesce(case((child | negation, nothing), (self._is(*_USAGE), listed)), billed)
        if not self.has("split_line_item_parent_resource_id"):
            self._taken("line_item_net_unblended_cost" if self._net else "line_item_unblended_cost")
        return {
            "BilledCost": case((child, nothing), otherwise=billed),
            "EffectiveCost": case(*amortised, otherwise=billed),
            "ListCost": list_cost,
            "ContractedCost": case(
                (child | negation, nothing), (self._is("DiscountedUsage"), list_cost), otherwise=billed
            ),
        }

    @property
    def _split_child(self) -> pl.Expr:
        """Whether the line is a part of another: what a container used of an instance that has a line itself."""
        return self._col("split_line_item_parent_resource_id").is_not_null()

    def _amounts(self) -> dict[str, pl.Expr]:
        """Quantities and unit prices; a quantity without a unit is none in FOCUS and stays under its own name."""
        unit, amount = in_focus_units(self._col("pricing_unit")), self._number("line_item_usage_amount")
        usage, measured = self._is(*_USAGE), unit.is_not_null()
        rate, public = self._number("line_item_unblended_rate"), self._number("pricing_public_on_demand_rate")
        return {
            "PricingUnit": unit,
            "PricingQuantity": case((measured, amount)),
            "ConsumedQuantity": case((measured & usage, amount)),
            "ConsumedUnit": case((measured & usage, unit)),
            "ListUnitPrice": case((usage, public)),
            "ContractedUnitPrice": case((self._is("DiscountedUsage"), public), (usage, rate)),
            "PricingCurrency": pl.coalesce(self._col("pricing_currency"), self._col("line_item_currency_code")),
        }

    # -- tags ---------------------------------------------------------------------------------------------------

    def _of_map(self, column: str, key: str) -> pl.Expr:
        """The value of `key` in a map column, or in the JSON text that CSV has instead."""
        if not self.has(column):
            return NOTHING
        value = pl.col(self._name(column))
        is_text = self._kind(column) == pl.String
        return filled(value.str.json_path_match(f"$.{key}") if is_text else value.map.get(key))

    def _tags(self) -> pl.Expr:
        """Tags as JSON by their own keys: a user's without prefix, those of AWS itself with `aws:`."""
        if self.has("resource_tags"):
            tags = pl.col(self._name("resource_tags"))
            self._used.add(self._name("resource_tags"))
            if self._kind("resource_tags") == pl.String:
                named = tags.str.replace_all(r'([{,]\s*")user[_:]', "${1}").str.replace_all(
                    r'([{,]\s*")aws_', "${1}aws:"
                )
                return filled(named)
            entry = pl.element().struct
            key = entry.field("key").str.replace("^user[_:]", "").str.replace("^aws_", "aws:")
            return json_of_entries(tags.map.entries(), key, entry.field("value"))
        found = {
            column: match
            for column in self._columns
            if (match := re.fullmatch(r"resource_?tags[/_](user|aws)[:_](.+)", column, re.IGNORECASE))
        }
        self._used.update(found)
        return json_object(
            (match[2] if match[1].lower() == "user" else f"aws:{match[2]}", filled(pl.col(column)))
            for column, match in found.items()
        )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
