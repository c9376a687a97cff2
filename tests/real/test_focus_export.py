"""Exported months of native bills: what the validator of FOCUS does not look at.

The validator checks shapes (`make focus-check`). That an invoice has its sum, that commitments amortise to what was
paid, and that price x quantity is the cost, is held here, against the files themselves.
"""

from __future__ import annotations

import ast
import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from collectors import load
from farthing import config, exports
from farthing.lake import Lake
from farthing.lake.schemas import CHARGES

pytestmark = pytest.mark.heavy

#: source -> its kind, and its files below billing/
NATIVE = {
    "aws": ("aws", "native_synthetic_gpu/aws_cur_2026-09.csv.gz"),
    "aws_2023": ("aws", "aws_cur_legacy/focus_converters_aws_cur_2023-11.csv.gz"),
    "gcp": ("gcp", "native_synthetic_gpu/gcp_detailed_2026-09.csv.gz"),
    "gcp_late": ("gcp", "restatement/gcp_detailed_2026-09_late_batch.csv.gz"),
    "azure": ("azure", "native_synthetic_gpu/azure_costdetails_2026-09.csv"),
    "azure_ea": ("azure", "azure_native/EA_*.csv"),
    "split": ("focus", "focus_synthetic/focus_1_3_cost_and_usage_aws.csv.gz"),
}
WORKSHOP = {"aws_2018": ("aws", "aws_cur_legacy/workshop_cur_2018-10.snappy.parquet")}
NINE = Decimal("1e-9")
Rows = list[dict[str, Any]]


class _Silence:
    def start(self, total_files: int, total_bytes: int) -> None: ...

    def advance(self, done_bytes: int) -> None: ...

    def message(self, text: str) -> None: ...


def _exported(shared: Path, folder: Path, sources: dict[str, tuple[str, str]]) -> pa.Table:
    """All months of `sources`, as `farthing export focus` writes them; the ledger is not needed for that."""
    made = config.from_mapping(
        {
            "sources": {
                name: {"kind": kind, "path": str(shared / "billing" / path)} for name, (kind, path) in sources.items()
            }
        },
        file=folder / "farthing.toml",
    )
    lake = Lake(str(folder / "lake"))
    for name, (kind, _) in sources.items():
        assert all(one.balanced for one in load(kind).collect(name, made.sources[name], made, lake, _Silence()))
    with duckdb.connect() as con:
        lake.view(con, CHARGES)
        con.execute("create view charges as select *, null::varchar as pool from lake.charges")
        months = con.sql("select distinct date_trunc('month', BillingPeriodStart)::date from charges").fetchall()
        return pa.concat_tables(exports.focus(con, month) for (month,) in sorted(months))


@pytest.fixture(scope="module")
def exported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return _exported(shared, tmp_path_factory.mktemp("native"), NATIVE)


@pytest.fixture(scope="module")
def charges(exported: pa.Table) -> Rows:
    return list(exported.to_pylist())


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as file:
        yield from csv.DictReader(file)


def _sums(charges: Rows, *keys: str, cost: str = "BilledCost") -> dict[tuple[Any, ...], Decimal]:
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in charges:
        sums[tuple(row[key] for key in keys)] += row[cost]
    return dict(sums)


def _near(ours: dict[Any, Decimal], theirs: dict[Any, Decimal]) -> None:
    assert ours.keys() == theirs.keys()
    for key, amount in theirs.items():
        assert abs(ours[key] - amount) <= NINE * max(abs(amount), Decimal(1)), key


def test_google_bills_each_invoice_what_its_rows_and_credits_come_to(shared: Path, charges: Rows) -> None:
    theirs: dict[tuple[str], Decimal] = defaultdict(Decimal)
    for name in ("gcp", "gcp_late"):
        for line in _lines(shared / "billing" / NATIVE[name][1]):
            given = [Decimal(str(one["amount"])) for one in ast.literal_eval(line["credits"] or "[]")]
            theirs[(line["invoice.month"],)] += Decimal(line["cost"]) + sum(given)
    assert len(theirs) == 3
    _near(_sums([row for row in charges if row["x_Source"].startswith("gcp")], "InvoiceId"), theirs)


def test_aws_and_azure_bill_each_account_and_invoice_what_their_lines_come_to(shared: Path, charges: Rows) -> None:
    for name in ("aws", "aws_2023"):
        theirs: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
        for line in _lines(shared / "billing" / NATIVE[name][1]):
            key = line["bill/InvoiceId"] or None, line["lineItem/UsageAccountId"]
            theirs[key] += Decimal(line["lineItem/UnblendedCost"])
        ours = _sums([row for row in charges if row["x_Source"] == name], "InvoiceId", "SubAccountId")
        _near(ours, theirs)
    actual = _lines(shared / "billing" / "azure_native" / "EA_ActualCost_Small.csv")
    billed = sum((Decimal(line["Cost"]) for line in actual), Decimal(0))
    _near(_sums([row for row in charges if row["x_Source"] == "azure_ea"], "InvoiceId"), {(None,): billed})


def test_split_charges_add_up_to_what_they_were_split_from_per_invoice(shared: Path, charges: Rows) -> None:
    theirs: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    split = 0
    for line in _lines(shared / "billing" / NATIVE["split"][1]):
        theirs[line["InvoiceId"], line["ChargeCategory"]] += Decimal(line["BilledCost"])
        split += bool(line["AllocatedMethodId"])
    assert split
    _near(_sums([row for row in charges if row["x_Source"] == "split"], "InvoiceId", "ChargeCategory"), theirs)


def test_periods_are_in_order_and_charges_lie_in_their_billing_period_but_for_googles_invoices(charges: Rows) -> None:
    crossing = set()
    for row in charges:
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingPeriodStart"] < row["BillingPeriodEnd"]
        if row["ChargePeriodStart"] < row["BillingPeriodStart"] or row["ChargePeriodEnd"] > row["BillingPeriodEnd"]:
            crossing.add(row["x_Source"])
            assert abs(row["ChargePeriodStart"] - row["BillingPeriodStart"]) < timedelta(days=62)
    assert crossing == {"gcp"}  # whose invoice.month decides, whenever the use was


@pytest.mark.parametrize("amount", ["List", "Contracted"])
def test_price_times_quantity_is_the_cost_and_remarks_say_where_it_is_not(charges: Rows, amount: str) -> None:
    priced = 0
    with localcontext(prec=80):
        for row in charges:
            price, quantity, cost = row[f"{amount}UnitPrice"], row["PricingQuantity"], row[f"{amount}Cost"]
            if price is None or quantity is None or row["ChargeClass"] == "Correction":
                continue
            priced += 1
            fits = abs(price * quantity - cost) <= NINE * max(abs(cost), Decimal(1))
            assert fits != (f"{amount}Cost is not {amount}UnitPrice" in (row["x_Remark"] or "")), row
            assert fits or row["x_Source"] == "split"
    assert priced > 5_000


def test_quantities_have_units_and_what_is_no_use_has_no_consumed_quantity(charges: Rows) -> None:
    for row in charges:
        for name in ("Pricing", "Consumed", "CommitmentDiscount"):
            assert (row[f"{name}Quantity"] is None) == (row[f"{name}Unit"] is None), row
        if row["ChargeCategory"] != "Usage" or row["CommitmentDiscountStatus"] == "Unused":
            assert row["ConsumedQuantity"] is None
        assert (row["RegionId"] is None) == (row["RegionName"] is None)
        assert (row["ResourceId"] is None) == (row["ResourceType"] is None)
    categories = defaultdict(set)
    for row in charges:
        native = row["x_Source"] != "split"
        categories[row["ServiceName"], native].add((row["ServiceCategory"], row["ServiceSubcategory"]))
    assert {service: found for service, found in categories.items() if len(found) > 1} == {}


def test_columns_are_decimals_utc_moments_and_texts_and_own_ones_begin_with_x(exported: pa.Table) -> None:
    focus = set(CHARGES.columns)
    for field in exported.schema:
        own = field.name not in focus
        assert own == field.name.startswith("x_"), field
        if field.name.endswith(("Cost", "Price", "Quantity")):
            assert pa.types.is_decimal(field.type), field
        elif field.name.endswith(("Start", "End")):
            assert field.type == pa.timestamp("us", tz="UTC"), field
        else:
            assert pa.types.is_string(field.type), field
    first = exported["ChargePeriodStart"][0].as_py()
    assert first.utcoffset() == timedelta(0)
    assert first >= datetime(2023, 1, 1, tzinfo=UTC)


def test_gpu_machines_say_how_many_gpus_they_have(charges: Rows) -> None:
    found = {
        (row["x_Source"], row["SkuPriceDetails"])
        for row in charges
        if row["SkuPriceDetails"] and "GpuCount" in row["SkuPriceDetails"]
    }
    machines = {
        ("aws", "p5.48xlarge", 8), ("aws", "p4d.24xlarge", 8), ("gcp", "a3-highgpu-8g", 8),
        ("azure", "Standard_ND96isr_H100_v5", 8),
    }  # fmt: skip
    for source, size, gpus in machines:
        assert [
            text for name, text in found
            if name == source and f'"InstanceType":"{size}"' in text and f'"GpuCount":{gpus}' in text
        ], (source, size)  # fmt: skip


def test_what_commitments_of_a_plan_are_used_and_unused_for_is_all_that_their_use_costs(charges: Rows) -> None:
    plans = [row for row in charges if row["CommitmentDiscountId"] and row["x_Source"] != "split"]
    use = [row for row in plans if row["ChargeCategory"] == "Usage"]
    both = [row for row in use if row["CommitmentDiscountStatus"] in ("Used", "Unused")]
    ours = _sums(both, "x_Source", "CommitmentDiscountId", cost="EffectiveCost")
    assert len(ours) == 2
    assert ours == _sums(use, "x_Source", "CommitmentDiscountId", cost="EffectiveCost")


@pytest.mark.heavy
def test_a_real_month_of_reservations_amortises_to_what_was_paid_and_bills_its_invoices(
    shared: Path, tmp_path: Path
) -> None:
    """Used + unused = recurring fee + the month's part of what was paid upfront, which the file alone states."""
    path = shared / "billing" / WORKSHOP["aws_2018"][1]
    table = _exported(shared, tmp_path, WORKSHOP)
    assert sum(count for *_, count in exports.remarks(table)) == 0
    charges = list(table.to_pylist())
    exact = "cast(cast({} as varchar) as decimal(38,24))"
    with duckdb.connect() as con:
        invoices = con.sql(
            f"select bill_invoice_id, sum({exact.format('line_item_unblended_cost')}) from '{path}' group by 1"
        ).fetchall()
        paid = con.sql(
            "select reservation_reservation_a_r_n, sum("
            + " + ".join(
                exact.format(name)
                for name in ("line_item_unblended_cost", "reservation_amortized_upfront_fee_for_billing_period")
            )
            + f") from '{path}' where line_item_line_item_type = 'RIFee' group by 1"
        ).fetchall()
    _near(_sums(charges, "InvoiceId"), {(invoice,): amount for invoice, amount in invoices})
    committed = [row for row in charges if row["CommitmentDiscountId"]]
    used = _sums(
        [row for row in committed if row["CommitmentDiscountStatus"]], "CommitmentDiscountId", cost="EffectiveCost"
    )
    assert used == _sums(
        [row for row in committed if row["ChargeCategory"] == "Usage"], "CommitmentDiscountId", cost="EffectiveCost"
    )
    assert len(paid) > 3
    for reservation, amount in paid:
        assert abs(used[(reservation,)] - amount) < Decimal("0.0001"), reservation  # AWS rounds hours to 8 decimals
    assert {row["BillingPeriodStart"].date() for row in charges} == {date(2018, 10, 1)}
