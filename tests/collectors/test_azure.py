"""Azure's cost details, in every form that somebody may have downloaded, are the bill to the last digit."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collectors import azure_costs
from collectors.lines import UnreadableError
from collectors.statements import rows_of
from farthing.errors import ConfigError
from farthing.lake.schemas import CHARGES, REJECTS

EA = (
    "BillingAccountId,SubscriptionId,BillingPeriodStartDate,BillingPeriodEndDate,Date,ProductName,MeterId,MeterCategory,"
    "Quantity,EffectivePrice,CostInBillingCurrency,BillingCurrency,ResourceId,ChargeType,PricingModel,ReservationId,Tags\n"
)
VM = "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/VM"


def line(
    cost: str, day: str = "09/02/2026", kind: str = "Usage", model: str = "OnDemand", product: str = "ND96", **more: str
) -> str:
    reservation = "R1" if model == "Reservation" else ""
    values = [
        "77",
        "s-1",
        "09/01/2026",
        "09/30/2026",
        day,
        product,
        "m-1",
        "Virtual Machines",
        more.get("quantity", "1"),
    ]
    values += [cost, cost, more.get("currency", "EUR"), more.get("resource", VM), kind, model, reservation, ""]
    return ",".join(values) + "\n"


def totals(world: Any, load: str | None = None) -> Any:
    """What is billed and what it costs, before rounding."""
    rows = [row for row in world.rows(CHARGES) if load in (None, row["x_load"])]
    billed, effective = (
        sum((row[name] + row[f"x_{name}Rounding"] for row in rows), Decimal(0))
        for name in ("BilledCost", "EffectiveCost")
    )
    return billed, effective


ACTUAL = EA + line("30", kind="Purchase", model="Reservation") + line("0", model="Reservation") + line("5") + line("5")
AMORTIZED = (
    EA
    + line("0.7", model="Reservation")
    + line("0.3", kind="UnusedReservation", model="Reservation")
    + line("5")
    + line("5")
)


# -- header families, languages ---------------------------------------------------------------------------------


def test_enterprise_columns_become_those_of_focus_and_the_rest_goes_along(world: Any) -> None:
    world.write("a.csv", "\ufeff" + EA + line("12.500000000000000001").replace(",\n", ',"""team"": ""red"""\n'))
    result = world.one("azure", "a.csv")
    assert (result.form, result.landed) == ("cost details (EA)", 1)
    [row] = world.rows(CHARGES)
    assert row["BilledCost"] + row["x_BilledCostRounding"] == Decimal("12.500000000000000001")
    assert f"{row['ChargePeriodStart']:%Y-%m-%d} {row['ChargePeriodEnd']:%Y-%m-%d}" == "2026-09-02 2026-09-03"
    assert f"{row['BillingPeriodStart']:%Y-%m-%d} {row['BillingPeriodEnd']:%Y-%m-%d}" == "2026-09-01 2026-10-01"
    assert json.loads(row["Tags"]) == {"team": "red"}
    assert row["ResourceId"] == VM.lower()
    extra = json.loads(row["x_extra"])
    assert extra["x_ResourceId"] == VM
    assert extra["EffectivePrice"] == "12.500000000000000001"
    assert (row["ProviderName"], row["ServiceCategory"], row["SubAccountId"]) == ("Microsoft", "Compute", "s-1")


def test_customer_agreement_states_unit_prices_in_the_pricing_currency(world: Any) -> None:
    world.write(
        "a.csv",
        "date,costInBillingCurrency,billingCurrency,pricingCurrency,costInPricingCurrency,unitPrice,payGPrice,quantity,"
        "paygCostInBillingCurrency,billingPeriodStartDate,billingPeriodEndDate,subscriptionId,chargeType,invoiceId\n"
        "9/3/2026,90,EUR,USD,100,25,30,4,108,9/1/2026,9/30/2026,s-2,Refund,I-1\n",
    )
    assert world.one("azure", "a.csv").form == "cost details (MCA)"
    [row] = world.rows(CHARGES)
    assert (row["BilledCost"], row["ListCost"], row["BillingCurrency"]) == (90, 108, "EUR")
    assert (row["PricingCurrency"], row["PricingCurrencyContractedUnitPrice"]) == ("USD", 25)
    assert row["ContractedUnitPrice"] is None
    assert (row["ChargeCategory"], row["InvoiceId"]) == ("Adjustment", "I-1")


def test_the_legacy_form_has_only_usage_and_no_billing_period(world: Any) -> None:
    world.write(
        "a.csv",
        "SubscriptionGuid,UsageDateTime,MeterCategory,UsageQuantity,ResourceRate,PreTaxCost,InstanceId,ServiceName,Currency\n"
        "s-3,2026-02-28,Load Balancer,3,0.025,0.075,/x/Y,Balancer,USD\n",
    )
    assert world.one("azure", "a.csv").form == "cost details (legacy)"
    [row] = world.rows(CHARGES)
    assert (row["ChargeCategory"], row["ServiceName"], row["SubAccountId"]) == ("Usage", "Load Balancer", "s-3")
    assert f"{row['BillingPeriodStart']:%Y-%m-%d} {row['BillingPeriodEnd']:%Y-%m-%d}" == "2026-02-01 2026-03-01"
    assert json.loads(row["x_extra"])["x_ServiceName"] == "Balancer"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("header", "day"),
    [
        ("Abonnement-GUID (SubscriptionGuid);Datum (Date);Kosten (Cost);Geld (Currency);I (InstanceId)", "15.09.2026"),
        ("Guid d'abonnement (SubscriptionGuid);Date (Date);Coût (Cost);Devise (Currency);I (InstanceId)", "15/09/2026"),
        ("SubscriptionGuid (Id);Date (Fecha);Cost (Coste);Currency (Moneda);InstanceId (Instancia)", "2026-09-15"),
        ("SubscriptionGuid;UsageDateTime;PreTaxCost;Währung (Currency);InstanceId", "9/15/2026"),
        ("購読（SubscriptionGuid）;日付（Date）;コスト（Cost）;通貨（Currency）;ID（InstanceId）", "2026/09/15"),  # noqa: RUF001
        ("구독 (SubscriptionGuid);날짜 (Date);비용 (Cost);통화 (Currency);ID (InstanceId)", "2026. 9. 15."),
        ("SubscriptionGuid;Date;Extended Cost;Currency;Instance ID", "9/15/2026 0:00"),
    ],
)  # fmt: skip
def test_a_localised_file_is_read_by_the_english_names_in_brackets(world: Any, header: str, day: str) -> None:
    world.write("a.csv", f"{header}\ns;{day};1.234,56;EUR;/i\ns;{day};-0,5;EUR;/i\n")
    assert world.one("azure", "a.csv").landed == 2
    assert totals(world) == (Decimal("1234.06"), Decimal("1234.06"))
    assert {f"{row['ChargePeriodStart']:%Y-%m-%d}" for row in world.rows(CHARGES)} == {"2026-09-15"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1.5;09/02/2026\n2,5;09/13/2026\n", "decimal comma and some a decimal point"),
        ("1.5;13/09/2026\n2.5;09/13/2026\n", "begin with the day and some with the month"),
        ("1.5;05/06/2026\n", "could begin with the day or with the month"),
        ("1,234;2026-09-02\n", "a comma in its numbers could be decimal or not"),
    ],
)
def test_what_no_value_of_a_localised_file_tells_is_not_guessed(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Kosten (Cost);Datum (Date);W (Currency)\n" + rows.replace("\n", ";EUR\n"))
    with pytest.raises(UnreadableError, match=said):
        azure_costs.details(rows_of([path], tmp_path))


@pytest.mark.slow
def test_separators_of_thousands_and_impossible_days_are_refused_with_their_line(world: Any) -> None:
    world.write("a.csv", EA + line('"1,234.50"') + line("1", day="02/30/2026") + line("2"))
    result = world.one("azure", "a.csv")
    assert (result.read, result.landed, result.rejected) == (3, 1, 2)
    reasons = world.rejects()
    assert reasons[0][0] == 2
    assert "'1,234.50' is no plain decimal number" in reasons[0][1]
    assert reasons[1][0] == 3
    assert "'02/30/2026' is no time" in reasons[1][1]


@pytest.mark.slow
def test_a_file_without_a_currency_says_how_to_name_it(world: Any) -> None:
    world.write("a.csv", "SubscriptionGuid,Date,Cost,InstanceId\ns,2026-09-02,1.5,/i\n")
    assert 'constants = { BillingCurrency = "EUR" }' in world.one("azure", "a.csv").problem
    assert world.one("azure", "a.csv", constants={"BillingCurrency": "SEK"}).landed == 1
    assert world.rows(CHARGES)[0]["BillingCurrency"] == "SEK"


def test_another_csv_is_no_bill_of_azure(world: Any) -> None:
    world.write("a.csv", "day,amount\n2026-09-01,1\n")
    assert "no column has the cost" in world.one("azure", "a.csv").problem


def test_gpu_sizes_marketplace_and_machine_learning(world: Any) -> None:
    world.write(
        "a.csv",
        "Date,Cost,BillingCurrency,MeterCategory,ConsumedService,PublisherType,PublisherName,PlanName,AdditionalInfo,ResourceId\n"
        "2026-09-01,1,USD,Virtual Machines,Microsoft.Compute,Azure,,,"
        '"{""ServiceType"": ""Standard_ND96isr_H100_v5"", ""VCPUs"": 96}",' + VM + "\n"
        '2026-09-01,2,USD,Storage,Microsoft.MachineLearningServices,Azure,,,"""ServiceType"":""Standard_NC6""",\n'
        "2026-09-01,3,USD,Unassigned,,Marketplace,Weaviate,Pro plan,not json,\n",
    )  # fmt: skip
    assert world.one("azure", "a.csv").landed == 3
    gpu, learning, market = world.rows(CHARGES, "BilledCost")
    assert json.loads(gpu["SkuPriceDetails"]) == {
        "InstanceType": "Standard_ND96isr_H100_v5", "CoreCount": 96, "GpuCount": 8,
    }  # fmt: skip
    assert gpu["ResourceType"] == "microsoft.compute/virtualmachines"
    assert (learning["ServiceCategory"], learning["ServiceName"]) == (
        "AI and Machine Learning",
        "Azure Machine Learning",
    )
    assert json.loads(learning["x_extra"])["MeterCategory"] == "Storage"
    assert json.loads(learning["SkuPriceDetails"]) == {"InstanceType": "Standard_NC6", "GpuCount": 1}
    assert (market["ServiceName"], market["PublisherName"], market["ProviderName"]) == (
        "Pro plan",
        "Weaviate",
        "Microsoft",
    )
    assert json.loads(market["x_extra"])["AdditionalInfo"] == "not json"


@pytest.mark.slow
def test_parquet_doubles_keep_their_shortest_text(world: Any) -> None:
    world.parquet(
        "a.parquet",
        "select date '2026-09-02' as date, 0.1::double as costInBillingCurrency, 'USD' as billingCurrency, "
        "1e-7::double as quantity, '1 Hour' as unitOfMeasure union all "
        "select date '2026-09-03', 1234567.891::double, 'USD', 3, '1 Hour'",
    )
    assert world.one("azure", "a.parquet").landed == 2
    assert totals(world)[0] == Decimal("1234567.991")
    assert world.rows(CHARGES, "BilledCost")[0]["PricingQuantity"] == Decimal("1e-7")


# -- actual and amortized ---------------------------------------------------------------------------------------


def test_actual_costs_alone_are_what_is_billed(world: Any) -> None:
    world.write("actual.csv", ACTUAL)
    assert world.one("azure", "actual.csv").form == "cost details (EA), actual"
    assert totals(world) == (40, 40)


def test_amortized_costs_alone_bill_nothing_for_what_a_commitment_paid(world: Any) -> None:
    world.write("amortized.csv", AMORTIZED)
    assert world.one("azure", "amortized.csv").form == "cost details (EA), amortized"
    assert totals(world) == (10, 11)
    statuses = {row["EffectiveCost"]: row["CommitmentDiscountStatus"] for row in world.rows(CHARGES)}
    assert statuses == {Decimal("0.7"): "Used", Decimal("0.3"): "Unused", Decimal(5): None}


@pytest.mark.slow
def test_both_views_of_a_month_are_one_set_of_charges(world: Any) -> None:
    """By hand: billed 30 + 5 + 5; used 0.7, unused 0.3, 5 and 5. The purchase is the one row that only actual has."""
    world.write("actual.csv", ACTUAL)
    world.write("amortized.csv", AMORTIZED)
    actual, amortized = world.collect("azure", "*.csv")
    assert (actual.read, actual.landed, actual.duplicate) == (4, 1, 3)
    assert (amortized.read, amortized.landed, amortized.duplicate) == (4, 4, 0)
    assert totals(world) == (40, 11)
    [purchase] = [row for row in world.rows(CHARGES) if row["ChargeCategory"] == "Purchase"]
    assert (purchase["BilledCost"], purchase["EffectiveCost"]) == (30, 0)
    assert {result.status for result in world.collect("azure", "*.csv")} == {"unchanged"}


@pytest.mark.slow
def test_rows_that_only_one_view_has_yet_count_in_that_view_alone(world: Any) -> None:
    world.write("actual.csv", ACTUAL + line("2", day="09/03/2026"))
    world.write("amortized.csv", AMORTIZED + line("4", day="09/04/2026"))
    world.collect("azure", "*.csv")
    assert totals(world) == (42, 15)


@pytest.mark.slow
def test_a_second_view_that_comes_later_changes_what_the_first_one_bills(world: Any) -> None:
    world.write("amortized.csv", AMORTIZED)
    world.collect("azure", "*.csv")
    assert totals(world) == (10, 11)
    world.write("actual.csv", ACTUAL)
    assert {result.status for result in world.collect("azure", "*.csv")} == {"landed"}
    assert totals(world) == (40, 11)


@pytest.mark.slow
def test_parts_of_one_view_are_added_and_other_months_are_left_alone(world: Any) -> None:
    world.write("part-1.csv", ACTUAL)
    world.write("part-2.csv", EA + line("7"))
    world.write("august.csv", AMORTIZED.replace("09/", "08/"))
    world.collect("azure", "*.csv")
    assert totals(world) == (57, 58)


@pytest.mark.slow
def test_a_bill_that_is_in_another_file_as_a_whole_is_not_added_again(world: Any) -> None:
    """Without a commitment the two views are equal, and an earlier state is in a later one."""
    world.write("actual.csv", EA + line("5") + line("5"))
    world.write("amortized.csv", EA + line("5") + line("5"))
    world.write("earlier.csv", EA + line("5"))
    assert [(result.landed, result.duplicate) for result in world.collect("azure", "*.csv")] == [(2, 0), (0, 2), (0, 1)]
    assert totals(world) == (10, 10)


def test_a_part_that_tells_no_view_beside_both_is_refused(world: Any) -> None:
    world.write("actual.csv", ACTUAL)
    world.write("amortized.csv", AMORTIZED)
    world.write("part.csv", EA + line("7"))
    results = world.collect("azure", "*.csv")
    assert {result.status for result in results} == {"failed"}
    assert "part.csv: either" in results[0].problem


def test_both_views_in_one_file_are_told_apart_row_by_row(world: Any) -> None:
    world.write("a.csv", ACTUAL + line("0.7", model="Reservation"))
    assert world.one("azure", "a.csv").form == "cost details (EA), actual and amortized"
    assert totals(world) == (40, Decimal("10.7"))


# -- FOCUS ------------------------------------------------------------------------------------------------------


def test_a_focus_export_lands_with_ids_that_can_be_joined(world: Any) -> None:
    world.write(
        "a.csv",
        "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
        "ChargePeriodEnd,ProviderName,CommitmentDiscountId,ResourceId,PricingCurrency,x_CostCenter\n"
        "0,2.5,EUR,Usage,2026-09-01T00:00Z,2026-10-01T00:00Z,2026-09-02T00:00Z,2026-09-03T00:00Z,Microsoft Azure,"
        "/providers/Microsoft.Capacity/R1,/x/y,EUR,4711\n",
    )
    assert world.one("azure", "a.csv").form == "FOCUS 1.2"
    [row] = world.rows(CHARGES)
    assert (row["CommitmentDiscountId"], row["ProviderName"]) == ("/providers/microsoft.capacity/r1", "Microsoft")
    extra = json.loads(row["x_extra"])
    assert extra == {"x_CommitmentDiscountId": "/providers/Microsoft.Capacity/R1", "x_CostCenter": "4711"}


# -- settings and changes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"since": "2026-01-01"}, "since"), ({"export": "/subscriptions/x"}, "export"), ({"region": "eu"}, "region")],
)
def test_settings_that_do_not_go_together_are_named(world: Any, settings: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError, match=f"sources.one.{key}"):
        world.collect("azure", "a.csv", **settings)


@pytest.mark.slow
def test_a_later_state_of_a_file_takes_its_place_and_columns_may_change(world: Any) -> None:
    world.write("a.csv", EA + line("1") + line("2"))
    world.one("azure", "a.csv")
    world.write("a.csv", EA.replace("Tags", "CostCenter,Tags") + line("3").replace(",\n", ",cc,\n"))
    assert world.one("azure", "a.csv").landed == 1
    assert totals(world) == (3, 3)


# -- shared data ------------------------------------------------------------------------------------------------

_MONEY = {"CostInBillingCurrency", "Cost", "PreTaxCost", "costinbillingcurrency"}


def _own_totals(path: Path) -> dict[tuple[str, str], Decimal]:
    """By subscription and currency, straight from the csv; ragged lines are none."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()):
        lower = {str(name).lower(): value for name, value in row.items()}
        cost = next((row[name] for name in _MONEY if name in row), "")
        currency = lower.get("billingcurrency") or lower.get("billingcurrencycode") or lower.get("currency") or "USD"
        if cost and None not in row.values() and currency != "MC":
            found[lower.get("subscriptionid") or lower["subscriptionguid"] or "", currency] += Decimal(cost)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "form", "counts"),
    [
        ("azure_native/EA_ActualCost_Small.csv", "cost details (EA), actual", (11, 0)),
        ("azure_native/EA_AmortizedCost_Small.csv", "cost details (EA), amortized", (28, 0)),
        ("azure_native/koku_azure_version_2.csv", "cost details (EA)", (0, 5)),  # 'MC' is no currency
        ("azure_native/opencost_BOM.csv", "cost details (legacy)", (0, 1)),  # a row without cost and currency
        ("azure_native/opencost_Enterprise.csv", "cost details (EA), actual", (1, 0)),
        ("azure_native/opencost_PayAsYouGo.csv", "cost details (legacy)", (1, 0)),
        ("azure_native/opencost_Template.csv", "cost details (legacy)", None),
        ("native_synthetic_gpu/azure_costdetails_2026-09.csv", "cost details (MCA)", (90, 0)),
    ],
)
def test_shared_cost_details_land_with_their_own_totals(
    world: Any, shared: Path, file: str, form: str, counts: tuple[int, int] | None
) -> None:
    path = shared / "billing" / file
    constants = {"BillingCurrency": "USD"} if "Template" in file else {}
    result = world.one("azure", str(path), constants=constants)
    assert result.form == form
    if counts:
        assert (result.landed, result.rejected) == counts
    landed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in world.rows(CHARGES) if result.landed else ():
        landed[row["SubAccountId"], row["BillingCurrency"]] += row["EffectiveCost"] + row["x_EffectiveCostRounding"]
    assert landed == _own_totals(path)


def test_the_shared_focus_month_lands_with_its_own_totals(world: Any, shared: Path) -> None:
    path = shared / "billing/focus_synthetic/focus_1_2_cost_and_usage_azure.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    result = world.one("azure", str(path))
    assert (result.form, result.landed) == ("FOCUS 1.2", len(rows))
    own = tuple(sum((Decimal(row[name]) for row in rows), Decimal(0)) for name in ("BilledCost", "EffectiveCost"))
    assert totals(world) == own


@pytest.mark.slow
def test_the_shared_views_of_one_month_together(world: Any, shared: Path) -> None:
    sums = []
    for name in ("EA_ActualCost_Small.csv", "EA_AmortizedCost_Small.csv"):
        path = shared / "billing/azure_native" / name
        shutil.copy(path, world.folder / name)
        sums.append(sum(_own_totals(path).values()))
    results = world.collect("azure", "EA_*.csv")
    assert totals(world) == tuple(sums)
    assert results[0].duplicate == 10
    assert not world.lake.version(REJECTS)
