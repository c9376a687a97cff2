"""Bills in FOCUS: every version's columns, money to the last digit, and real and generated exports whole."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing.lake.schemas import CHARGES, REJECTS

COLUMNS = {
    "BillingCurrency": "USD",
    "BilledCost": "1.5",
    "EffectiveCost": "1.25",
    "ChargeCategory": "Usage",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargePeriodStart": "2026-10-01T00:00:00Z",
    "ChargePeriodEnd": "2026-10-01T01:00:00Z",
}
TWELVE = Decimal("1e-12")


def bill(*changes: dict[str, str], drop: str = "") -> str:
    rows = [{**COLUMNS, **change} for change in changes or [{}]]
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name != drop]
    lines = [names] + [[row.get(name, "") for name in names] for row in rows]
    quoted = [['"' + value.replace('"', '""') + '"' for value in line] for line in lines]
    return "\n".join(",".join(line) for line in quoted)


def charge(world: Any, **change: str) -> dict[str, Any]:
    world.write("bill.csv", bill(change))
    assert world.one("focus", "bill.csv").landed == 1, world.rejects()
    return dict(world.rows(CHARGES)[0])


def test_a_rejected_charge_keeps_what_it_says_of_its_invoice(world: Any) -> None:
    world.write("bill.csv", bill({"ChargeCategory": "Gift", "InvoiceId": "I", "SubAccountId": "a"}) + "\nbroken\n")
    assert world.one("focus", "bill.csv").rejected == 2
    known, broken = (row["said"] for row in world.rows(REJECTS, "line"))
    assert json.loads(known) == {
        "billing_month": "2026-10-01", "BillingCurrency": "USD", "BilledCost": "1.500000000000",
        "x_BilledCostRounding": "0.000000000000000000000000", "InvoiceId": "I", "SubAccountId": "a",
    }  # fmt: skip
    assert broken is None


@pytest.mark.parametrize(
    ("text", "landed", "rounding"),
    [
        ("1.5", "1.5", "0"),
        ("1e-7", "0.0000001", "0"),
        ("-2.5E+3", "-2500", "0"),
        ("0.0000000000005", "0.000000000001", "-5e-13"),
        ("-0.0000000000005", "-0.000000000001", "5e-13"),
        ("0.123456789012345678901234", "0.123456789012", "3.45678901234e-13"),
        ("76.91140062000000000000000000000000", "76.91140062", "0"),
        ("99999999999999.9", "99999999999999.9", "0"),
    ],
)
def test_money_is_rounded_once_and_what_that_took_is_kept(world: Any, text: str, landed: str, rounding: str) -> None:
    row = charge(world, EffectiveCost=text)
    assert row["EffectiveCost"] == Decimal(landed)
    assert row["x_EffectiveCostRounding"] == Decimal(rounding)
    assert row["EffectiveCost"] + row["x_EffectiveCostRounding"] == Decimal(text)


@pytest.mark.parametrize(
    "text", ["1,000.5", "1_000", "$5", "0x10", "NaN", "1e-25", "0.1234567890123456789012345", "1e14"]
)
def test_what_is_no_plain_amount_is_refused_and_shown(world: Any, text: str) -> None:
    world.write("bill.csv", bill({"BilledCost": text}, {}))
    result = world.one("focus", "bill.csv")
    assert (result.landed, result.rejected) == (1, 1)
    assert f"BilledCost: '{text}' is no plain decimal number" in world.rejects()[0][1]


def test_doubles_in_parquet_land_as_their_shortest_text(world: Any) -> None:
    row = {
        **{name: f"'{value}'" for name, value in COLUMNS.items()},
        "BilledCost": "0.1::double",
        "EffectiveCost": "0.3::decimal(38,17)",
    }
    row |= {name: f"timestamp {value[:-2]}'" for name, value in row.items() if "Period" in name}
    select = ", ".join(f'{value} as "{name}"' for name, value in row.items())
    world.parquet("b.parquet", f"select {select}, map {{'team': 'red'}} as Tags, 8 as x_Gpus")
    assert world.one("focus", "b.parquet").landed == 1
    (landed,) = world.rows(CHARGES)
    assert (landed["BilledCost"], landed["EffectiveCost"]) == (Decimal("0.1"), Decimal("0.3"))
    assert json.loads(landed["Tags"]) == {"team": "red"}
    assert json.loads(landed["x_extra"]) == {"x_Gpus": 8}
    assert landed["billing_month"].isoformat() == "2026-10-01"


def test_a_bill_that_is_read_in_place_is_counted_as_one_that_is_staged(world: Any) -> None:
    fine, gift = {"BilledCost": "0.1000000000004"}, {"BilledCost": "0.0000000000001", "ChargeCategory": "Gift"}
    euro = {"BilledCost": "2.0000000000006", "BillingCurrency": "EUR"}
    written = world.write("bill.csv", bill(fine, gift, euro, fine, {**gift, "BillingCurrency": "CHF"}))
    world.parquet("bill.parquet", f"from read_csv('{written}', all_varchar = true)")
    staged, in_place = (
        world.one("focus", f"bill.{form}", form, cost_column="BilledCost") for form in ("csv", "parquet")
    )
    assert (in_place.read, in_place.landed, in_place.rejected) == (5, 3, 2)
    assert in_place.rounding == {"USD": Decimal("8e-13"), "EUR": Decimal("-4e-13")}
    assert staged == replace(in_place, source="csv", file=staged.file)
    refused = [(row["line"], row["reason"], row["said"]) for row in world.rows(REJECTS, "x_source, line")]
    assert [(line - 1, *others) for line, *others in refused[:2]] == refused[2:]
    assert all("Gift" in row["raw"] for row in world.rows(REJECTS))


def test_json_lines_keep_tags_and_unknown_columns(world: Any) -> None:
    row = {**COLUMNS, "BilledCost": 0.5, "Tags": {"team": "red"}, "Id": 7, "x_Note": None}
    text = json.dumps(row).replace("0.5", "0.500000000000000000000001")
    world.write("b.jsonl", text)
    result = world.one("focus", "b.jsonl", cost_column="BilledCost")
    (landed,) = world.rows(CHARGES)
    assert landed["BilledCost"] + landed["x_BilledCostRounding"] == Decimal("0.500000000000000000000001")
    assert result.rounding == {"USD": Decimal("1e-24")}
    assert (json.loads(landed["Tags"]), json.loads(landed["x_extra"])) == ({"team": "red"}, {"Id": 7})


def test_null_is_empty_bare_or_quoted_or_the_word(world: Any) -> None:
    row = charge(
        world, ResourceId="NULL", RegionId="", SkuId="  ", Tags="NULL", ListCost="NULL", ServiceName="NULLABLE"
    )
    assert [row[name] for name in ("ResourceId", "RegionId", "SkuId", "Tags", "ListCost")] == [None] * 5
    assert row["ServiceName"] == "NULLABLE"


def test_times_without_a_zone_are_utc_as_the_specification_says(world: Any) -> None:
    row = charge(world, ChargePeriodStart="2026-10-01 05:00:00", ChargePeriodEnd="2026-10-01T08:00:00+02:00")
    assert (row["ChargePeriodStart"].hour, row["ChargePeriodEnd"].hour) == (5, 6)


def test_a_bill_of_1_4_takes_its_provider_from_the_service_provider(world: Any) -> None:
    row = charge(world, ServiceProviderName="AWS", HostProviderName="AWS", InvoiceDetailId="d-1")
    assert (row["ProviderName"], row["PublisherName"], row["InvoiceDetailId"]) == ("AWS", None, "d-1")
    assert charge(world, ServiceProviderName="AWS", ProviderName="Reseller")["ProviderName"] == "Reseller"


def test_column_names_match_in_any_case_and_may_be_mapped(world: Any) -> None:
    world.write("bill.csv", bill({"resourceid": "i-1", "Cost Centre": "c7"}))
    world.one("focus", "bill.csv", columns={"SubAccountName": "Cost Centre"})
    (row,) = world.rows(CHARGES)
    assert (row["ResourceId"], row["SubAccountName"], row["x_extra"]) == ("i-1", "c7", None)


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_missing_required_column_fails_the_file_and_lists_what_it_has(world: Any, name: str) -> None:
    world.write("bill.csv", bill(drop=name))
    result = world.one("focus", "bill.csv")
    assert result.status == "failed"
    assert result.problem.startswith(f"FOCUS requires {name}; the file has: ")
    assert world.lake.version(CHARGES) is None


def test_a_charge_category_outside_the_specification_is_refused(world: Any) -> None:
    world.write("bill.csv", bill({"ChargeCategory": "Refund"}))
    assert world.one("focus", "bill.csv").rejected == 1
    assert "ChargeCategory is Refund, not one of Usage, Purchase" in world.rejects()[0][1]


def test_tags_that_are_no_json_do_not_cost_the_line(world: Any) -> None:
    row = charge(world, Tags='"team": "red"')
    assert (row["BilledCost"], json.loads(row["Tags"])) == (Decimal("1.5"), {"x_unreadable": '"team": "red"'})


def _read(path: Path) -> Iterator[dict[str, str]]:
    """The file by the standard library alone."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


def test_the_real_sample_lands_whole_with_every_amount_as_written(world: Any, shared: Path) -> None:
    file = shared / "billing" / "focus_real" / "focus_1_0_sample_part_a.csv"
    result = world.one("focus", str(file), cost_column="BilledCost")
    assert (result.read, result.landed, result.rounding) == (410, 410, {"USD": Decimal(0)})
    theirs = list(_read(file))
    assert len(theirs[0]) == 44
    ours = {row["x_charge_id"]: row for row in world.rows(CHARGES)}
    numbers = {field.name for field in CHARGES.schema if str(field.type).startswith("decimal")}
    for line, row in enumerate(theirs, 2):
        landed = ours[f"{file}:{line}"]
        for name, text in row.items():
            if name == "Id":
                assert json.loads(landed["x_extra"]) == {"Id": text}
            elif text in ("NULL", ""):
                assert landed[name] is None
            elif name in numbers:
                assert landed[name] + (landed.get(f"x_{name}Rounding") or 0) == Decimal(text)
            elif "Period" in name:
                assert str(landed[name]) == text
            else:
                assert landed[name] == text


@pytest.mark.parametrize(
    "name", ["1_2_cost_and_usage_aws", "1_2_cost_and_usage_azure", "1_2_cost_and_usage_gcp", "1_3_cost_and_usage_aws"]
)
@pytest.mark.parametrize("cost", ["EffectiveCost", "BilledCost"])
def test_a_synthetic_bill_equals_the_file_per_invoice(world: Any, shared: Path, name: str, cost: str) -> None:
    file = shared / "billing" / "focus_synthetic" / f"focus_{name}.csv.gz"
    result = world.one("focus", str(file), cost_column=cost)
    assert (result.read, result.landed) == (3000, 3000)
    landed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    exact: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    taken: dict[str, Decimal] = defaultdict(Decimal)
    for row in _read(file):
        key = (row["InvoiceId"], row["BillingCurrency"])
        value = Decimal(row[cost]).quantize(TWELVE, ROUND_HALF_UP)
        exact[key] += Decimal(row[cost])
        landed[key] += value
        taken[row["BillingCurrency"]] += Decimal(row[cost]) - value
    rows = world.query(
        CHARGES,
        f'select InvoiceId, BillingCurrency, sum("{cost}") as landed, sum("x_{cost}Rounding") as rounding '
        "from lake.charges group by all",
    )
    ours = {(row["InvoiceId"], row["BillingCurrency"]): row for row in rows}
    assert {key: row["landed"] for key, row in ours.items()} == landed
    assert {key: row["landed"] + row["rounding"] for key, row in ours.items()} == exact
    assert result.rounding == taken
    if name.startswith("1_3"):
        assert world.query(CHARGES, "select count(ContractApplied) as n from lake.charges")[0]["n"] > 0
