"""What is exported is the bill, in the form that others read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from farthing import exports
from farthing.lake.schemas import CHARGES
from tests.farthing.commands import farthing
from tests.worlds import BILL, charge, tiny


def test_the_exported_month_has_each_charge_and_each_amount_of_the_bill(tiny_project: Path, tmp_path: Path) -> None:
    path = tmp_path / "october.parquet"
    said = farthing("export", "focus", "--month", "2026-10", "--output", path, "--json", "--project", tiny_project)
    assert said.value["charges"] == 27
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        [(billed, effective, first, providers)] = con.execute(
            "select sum(BilledCost), sum(EffectiveCost), min(ChargePeriodStart)::timestamp,"
            f" list_sort(list(distinct ProviderName)) from '{path}'"
        ).fetchall()
    assert billed == effective == BILL
    assert str(first) == "2026-10-05 00:00:00"
    assert providers == ["AWS", "OpenAI"]


def test_columns_are_those_of_focus_1_2_and_own_ones_begin_with_x(tiny_project: Path, tmp_path: Path) -> None:
    path = tmp_path / "october.parquet"
    farthing("export", "focus", "--month", "2026-10", "--output", path, "--project", tiny_project)
    schema = pq.read_schema(path)
    own = [name for name in schema.names if name.startswith("x_")]
    assert own == ["x_ChargeId", "x_Source", "x_Pool", "x_Remark"]
    assert len(schema.names) == 57 + len(own)
    assert str(schema.field("EffectiveCost").type) == "decimal128(38, 12)"
    assert str(schema.field("ChargePeriodStart").type) == "timestamp[us, tz=UTC]"


@pytest.mark.slow
def test_what_a_source_leaves_out_is_named_after_it_and_text_is_ascii(tmp_path: Path) -> None:
    row = {**charge("", "", Decimal(1), service="Prüfwerk 東"), "ServiceCategory": "", "ProviderName": ""}
    project = tiny(tmp_path / "company", more_charges=[row])
    for verb in ("collect", "build"):
        farthing(verb, "--project", project)
    path = tmp_path / "october.csv"
    farthing("export", "focus", "--month", "2026-10", "--output", path, "--project", project)
    with duckdb.connect() as con:
        [found] = con.execute(
            "select ProviderName, PublisherName, InvoiceIssuerName, BillingAccountId, ServiceCategory, ServiceName,"
            f" ListCost, ContractedCost from read_csv('{path}', all_varchar = true) where ServiceName like 'Pr%'"
        ).fetchall()
    assert found == ("bill", "bill", "bill", "bill", "Other", "Prufwerk ?", "1.000000000000", "1.000000000000")
    assert "2026-10-05T00:00:00Z" in path.read_text(encoding="ascii")


def test_a_month_without_charges_and_a_file_of_no_form_are_refused(tiny_project: Path, tmp_path: Path) -> None:
    said = farthing("export", "focus", "--month", "2025-01", "--project", tiny_project)
    assert said.code == 2
    assert "the bills have 2026-10" in said.err
    wrong = farthing(
        "export", "focus", "--month", "2026-10", "--output", tmp_path / "october.xlsx", "--project", tiny_project
    )
    assert wrong.code == 2
    assert "end it in .parquet or .csv" in wrong.err


def exported(**row: Any) -> dict[str, Any]:
    """What a charge is in the export."""
    begin, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    known = {
        "x_source": "bill", "x_charge_id": "bill:1", "BillingCurrency": "USD", "ChargeCategory": "Usage",
        "BillingPeriodStart": begin, "BillingPeriodEnd": end, "ChargePeriodStart": begin, "ChargePeriodEnd": end,
        "BilledCost": Decimal(6), "EffectiveCost": Decimal(5),
    }  # fmt: skip
    schema = CHARGES.schema.append(pa.field("pool", pa.string()))
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("charges", pa.Table.from_pylist([known | row], schema=schema))
        [made] = exports.focus(con, date(2026, 10, 1)).to_pylist()
    return dict(made)


def test_a_cost_that_a_bill_leaves_out_is_price_times_quantity_else_the_effective_one() -> None:
    hours = {"PricingQuantity": Decimal(2), "PricingUnit": "Hours"}
    made = exported(**hours, ContractedUnitPrice=Decimal("2.75"))
    assert (made["ContractedCost"], made["ListCost"], made["x_Remark"]) == (Decimal("5.5"), Decimal("5.5"), None)
    made = exported(**hours, ContractedUnitPrice=Decimal("2.75"), ListUnitPrice=Decimal(4))
    assert (made["ContractedCost"], made["ListCost"]) == (Decimal("5.5"), Decimal(8))
    assert (exported()["ContractedCost"], exported()["ListCost"]) == (Decimal(5), Decimal(5))
    many = exported(ContractedUnitPrice=Decimal("1e-20"), **hours)  # more decimals than a product has room for
    assert (many["ContractedCost"], many["x_Remark"]) == (
        Decimal(5),
        "ContractedCost is not ContractedUnitPrice x PricingQuantity",
    )


@pytest.mark.parametrize(("cost", "price"), [("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")])
def test_a_charge_that_breaks_price_times_quantity_says_so_but_for_corrections_and_rounding(
    cost: str, price: str
) -> None:
    row = {"PricingQuantity": Decimal(3), "PricingUnit": "Hours", price: Decimal(2)}
    assert exported(**row, **{cost: Decimal(6)})["x_Remark"] is None
    assert exported(**row, **{cost: Decimal("6.000000005")})["x_Remark"] is None
    assert exported(**row, **{cost: Decimal("6.00000001")})["x_Remark"] == f"{cost} is not {price} x PricingQuantity"
    assert exported(**row, **{cost: Decimal(12)}, ChargeClass="Correction")["x_Remark"] is None
    assert exported(**{cost: Decimal(12), price: Decimal(2)})["x_Remark"] is None  # nothing to multiply with


def test_a_fee_of_a_commitment_that_is_not_spread_says_so() -> None:
    fee = {"ChargeCategory": "Purchase", "CommitmentDiscountId": "c-1"}
    assert exported(**fee)["x_Remark"] == "the fee of a commitment, which the bill does not spread over its use"
    assert exported(**fee | {"EffectiveCost": Decimal(0)})["x_Remark"] is None
    assert exported(ChargeCategory="Purchase")["x_Remark"] is None


def test_what_the_specification_wants_together_is_there_together_or_not_at_all() -> None:
    made = exported(RegionId="mars-1", ResourceId="r-1", ServiceName="Rovers", SkuId="s-1", SkuPriceDetails="{}")
    assert (made["RegionName"], made["ResourceType"], made["SkuPriceId"]) == ("mars-1", "Rovers", "s-1")
    assert exported(RegionName="Mars")["RegionId"] == "Mars"
    bare = exported(
        ResourceType="rover", SkuPriceDetails="{}", SkuMeter="m", PricingQuantity=Decimal(1), ConsumedUnit="Hours",
        CommitmentDiscountType="Plan", CommitmentDiscountStatus="Used", CapacityReservationStatus="Used",
    )  # fmt: skip
    gone = (
        "ResourceType", "SkuPriceDetails", "SkuMeter", "PricingQuantity", "ConsumedUnit", "CommitmentDiscountType",
        "CommitmentDiscountStatus", "CapacityReservationStatus", "RegionId",
    )  # fmt: skip
    assert {name: bare[name] for name in gone} == dict.fromkeys(gone)
    use = {"ConsumedQuantity": Decimal(1), "ConsumedUnit": "Hours", "CommitmentDiscountId": "c-1"}
    assert exported(**use, CommitmentDiscountStatus="Used")["ConsumedQuantity"] == 1
    assert exported(**use, CommitmentDiscountStatus="Unused")["ConsumedQuantity"] is None
    tax = exported(
        ChargeCategory="Tax", SkuId="s-1", PricingCategory="Standard", PricingQuantity=Decimal(1), PricingUnit="Units",
        ListUnitPrice=Decimal(1),
    )  # fmt: skip
    none = ("SkuId", "SkuPriceId", "PricingCategory", "PricingQuantity", "PricingUnit", "ListUnitPrice")
    assert {name: tax[name] for name in none} == dict.fromkeys(none)
