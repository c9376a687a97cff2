"""Google Cloud's exports land as FOCUS rows at cost plus credits, whatever they were flattened with."""

from __future__ import annotations

import ast
import csv
import gzip
import io
import json
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collectors.gcp_services import service_category
from farthing.errors import ConfigError
from farthing.lake.schemas import CHARGES

BASE = {
    "billing_account_id": "01AAAA-02BBBB-03CCCC",
    "service.id": "6F81-5844-456A",
    "service.description": "Compute Engine",
    "sku.id": "D",
    "sku.description": "A3 Instance Core running in Americas",
    "usage_start_time": "2026-09-05T00:00:00",
    "usage_end_time": "2026-09-05T01:00:00",
    "project.id": "prod-1",
    "project.name": "Production",
    "labels": "[]",
    "location.location": "us-central1",
    "location.region": "us-central1",
    "export_time": "2026-09-05T06:00:00",
    "cost": "10",
    "currency": "USD",
    "currency_conversion_rate": "1",
    "usage.amount": "3600",
    "usage.unit": "seconds",
    "usage.amount_in_pricing_units": "1",
    "usage.pricing_unit": "hour",
    "credits": "[]",
    "invoice.month": "202609",
    "cost_type": "regular",
    "resource.name": "gpu-1",
    "resource.global_name": "//compute.googleapis.com/projects/prod-1/zones/us-central1-a/instances/8211",
}
TYPE_OF = {"regular": "Usage", "tax": "Tax", "adjustment": "Adjustment", "rounding_error": "Adjustment"}


def as_csv(*rows: dict[str, Any], base: dict[str, Any] = BASE) -> str:
    columns = list(dict.fromkeys([*base, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows({**base, **row} for row in rows)
    return text.getvalue()


def one(world: Any, **row: Any) -> dict[str, Any]:
    """The charge that a row becomes."""
    world.write("bill.csv", as_csv(row))
    assert world.one("gcp", "bill.csv").landed == 1
    [charge] = world.rows(CHARGES)
    return {**charge, "extra": json.loads(charge["x_extra"])}


def credit(amount: object, kind: str = "PROMOTION", name: str = "Trial") -> dict[str, object]:
    return {"name": name, "amount": amount, "full_name": "", "id": name, "type": kind}


def test_a_charge_is_cost_plus_the_credits_that_lower_its_price(world: Any) -> None:
    given = [credit(-0.5, "COMMITTED_USAGE_DISCOUNT"), credit(-0.25, "SUSTAINED_USAGE_DISCOUNT")]
    charge = one(world, cost="10", credits=json.dumps(given), cost_at_list="12")
    assert (charge["BilledCost"], charge["EffectiveCost"]) == (Decimal("9.25"), Decimal("9.25"))
    assert (charge["ContractedCost"], charge["ListCost"]) == (Decimal(10), Decimal(12))
    assert charge["extra"]["x_CommitmentCredit"] == "-0.5"
    assert charge["PricingCategory"] == "Committed"
    assert json.loads(charge["extra"]["credits"]) == given


@pytest.mark.slow
def test_each_promotional_credit_is_a_row_of_its_own_and_the_net_is_the_same(world: Any) -> None:
    given = [credit(-1.25), credit(-2, name="Startup"), credit(-0.5, "FREE_TIER")]
    world.write("bill.csv", as_csv({"cost": "10", "credits": json.dumps(given), "labels": '{"team": "x"}'}, {}))
    result = world.one("gcp", "bill.csv")
    assert (result.read, result.landed) == (4, 4)
    rows = world.rows(CHARGES, "x_charge_id")
    assert [row["BilledCost"] for row in rows] == [Decimal("9.5"), 10, Decimal("-1.25"), -2]
    assert [row["x_charge_id"] for row in rows] == [f"bill.csv:{line}" for line in (2, 3, 4, 5)]
    use, _, trial, startup = rows
    assert (trial["ChargeCategory"], trial["ChargeDescription"]) == ("Credit", "Trial")
    assert json.loads(startup["x_extra"])["x_CreditId"] == "Startup"
    same = ("ResourceId", "Tags", "InvoiceId", "ChargePeriodStart", "SkuId", "ServiceCategory", "SubAccountId")
    assert {name: trial[name] for name in same} == {name: use[name] for name in same}
    assert (trial["EffectiveCost"], trial["ConsumedQuantity"], trial["PricingCategory"]) == (
        Decimal("-1.25"),
        None,
        None,
    )
    assert "cost" not in json.loads(trial["x_extra"])


def test_a_refused_row_takes_its_promotional_credit_along(world: Any) -> None:
    world.write("bill.csv", as_csv({"cost": "much", "credits": json.dumps([credit(-1)])}))
    result = world.one("gcp", "bill.csv")
    assert (result.read, result.rejected) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "it\'s", "amount": -1.25, "type": "PROMOTION"}, {"amount": -0.5, "type": "DISCOUNT"}]',
        "[{'name': \"it's\", 'amount': -1.25, 'type': 'PROMOTION'}, {'amount': -0.5, 'type': None}]",
        "[{'name': 'a', 'amount': -1.25, 'type': 'PROMOTION'}\n {'name': 'b', 'amount': -0.5, 'type': 'DISCOUNT'}]",
        "[{'amount': Decimal('-1.25'), 'type': 'PROMOTION'}, {'amount': Decimal('-0.5'), 'type': 'x'}]",
    ],
    ids=["json", "python", "numpy", "decimals"],
)
def test_credits_are_read_as_json_and_as_python_and_numpy_print_them(world: Any, text: str) -> None:
    charge = one(world, credits=text.replace("PROMOTION", "DISCOUNT"))
    assert charge["BilledCost"] == Decimal("8.25")


def test_credits_that_somebody_added_up_lower_the_cost(world: Any) -> None:
    assert one(world, credits="-1.75")["BilledCost"] == Decimal("8.25")


def test_credits_that_were_taken_apart_are_refused_for_they_repeat_the_cost_of_their_row(world: Any) -> None:
    whole = {name: value for name, value in BASE.items() if name != "credits"}
    world.write("bill.csv", as_csv({"credits.amount": "-1"}, {"credits.amount": "-2"}, base=whole))
    result = world.one("gcp", "bill.csv")
    assert (result.status, result.landed) == ("failed", 0)
    assert "credits were taken apart (credits.amount), which repeats the cost" in result.problem


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """The row as Google has it, with structs."""
    row: dict[str, Any] = {}
    for name, value in flat.items():
        outer, _, inner = name.partition(".")
        if inner:
            row.setdefault(outer, {})[inner] = value
        else:
            row[name] = value
    return row


@pytest.mark.parametrize("form", ["json lines", "json array", "csv with json", "csv with python"])
def test_structs_in_json_or_in_text_land_as_the_flattened_row_does(world: Any, form: str) -> None:
    row = nested(
        BASE | {"credits": [credit("-0.12345678901234567", "DISCOUNT")], "labels": [{"key": "a", "value": "b"}]}
    )
    row["project"]["labels"] = [{"key": "tier", "value": "x"}]
    later = row | {"adjustment_info": {"mode": "PARTIAL_CORRECTION"}}  # a key that only a later row has
    write = repr if form.endswith("python") else json.dumps
    text = {name: write(value) if isinstance(value, dict | list) else value for name, value in row.items()}
    name, content = {
        "json lines": ("a.json", "\n".join(json.dumps(one) for one in [row] * 1001 + [later])),
        "json array": ("a.json", json.dumps([row, later], indent=1)),
    }.get(form, ("a.csv", as_csv({}, {"adjustment_info": write(later["adjustment_info"])}, base=text)))
    world.write(name, content)
    assert world.one("gcp", name).form == "detailed usage cost export"
    charges = world.rows(CHARGES)
    assert {charge["BilledCost"] + charge["x_BilledCostRounding"] for charge in charges} == {
        Decimal("9.87654321098765433")
    }
    assert {(charge["InvoiceId"], charge["SubAccountId"], charge["ResourceName"]) for charge in charges} == {
        ("202609", "prod-1", "gpu-1")
    }
    assert json.loads(charges[0]["Tags"]) == {"tier": "x", "a": "b"}
    extras = [json.loads(charge["x_extra"]) for charge in charges]
    assert extras[0]["service.id"] == "6F81-5844-456A"
    assert "service" not in extras[0]
    assert any("PARTIAL_CORRECTION" in str(extra.get("adjustment_info")) for extra in extras)


def test_a_struct_that_cannot_be_read_stays_as_it_is_and_its_row_lands(world: Any) -> None:
    text = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in nested(BASE).items()}
    world.write("a.csv", as_csv({}, {"usage": "{'amount': "}, {"invoice": "{}"}, base=text))
    result = world.one("gcp", "a.csv")
    assert (result.landed, result.rejected) == (2, 1)
    assert [reason for _, reason in world.rejects()] == ["invoice.month: '' is no month (YYYYMM)"]
    assert any(json.loads(row["x_extra"]).get("usage") == "{'amount': " for row in world.rows(CHARGES))


def test_nested_values_of_any_type_of_parquet_are_text(world: Any) -> None:
    row = {**nested(BASE), "credits": [{**credit(Decimal("-1.25"), "DISCOUNT"), "id": b"1"}], "cost": 10.0}
    pl.DataFrame([{**row, "labels": []}]).write_parquet(world.folder / "a.parquet")
    assert world.one("gcp", "a.parquet").landed == 1
    [charge] = world.rows(CHARGES)
    assert charge["BilledCost"] == Decimal("8.75")


def test_a_json_file_without_an_object_says_so(world: Any) -> None:
    world.write("a.json", "[]")
    assert world.one("gcp", "a.json").problem == "it has no JSON object, so that nothing tells what it is"


@pytest.mark.slow
def test_a_row_whose_credits_cannot_be_read_is_rejected_for_its_net_is_unknown(world: Any) -> None:
    world.write("bill.csv", as_csv({"credits": "[{'amount': "}, {"credits": '[{"type": "PROMOTION"}]'}, {}))
    result = world.one("gcp", "bill.csv")
    assert (result.read, result.landed, result.rejected) == (3, 1, 2)
    assert [reason for _, reason in world.rejects()] == [
        "credits: '[{'amount': ' is neither JSON nor a Python list",
        'credits: \'[{"type": "PROMOTION"}]\' is an element without a readable amount',
    ]


@pytest.mark.slow
def test_amounts_of_seventeen_digits_lose_nothing_and_noise_of_doubles_lands(world: Any) -> None:
    charge = one(world, cost="1234567.12345678901234", credits=json.dumps([credit(-0.1, "DISCOUNT")]))
    assert charge["BilledCost"] + charge["x_BilledCostRounding"] == Decimal("1234567.02345678901234")
    world.write("noise.csv", as_csv({"cost": "4.336808689942018e-19", "usage.amount": "1e+17"}))
    assert world.one("gcp", "noise.csv").landed == 1
    [noise] = world.query(CHARGES, "select * from lake.charges where x_load = 'noise.csv'")
    assert abs(noise["x_BilledCostRounding"] - Decimal("4.336808689942018e-19")) < Decimal("1e-24")
    assert noise["ConsumedQuantity"] is None
    extra = json.loads(noise["x_extra"])
    assert (extra["usage.amount"], extra["cost"]) == ("1e+17", "4.336808689942018e-19")


@pytest.mark.slow
def test_the_invoice_month_is_pacific_and_decides_the_billing_period(world: Any) -> None:
    charge = one(
        world,
        usage_start_time="2026-09-01T03:00:00",
        usage_end_time="2026-09-01T04:00:00",
        **{"invoice.month": "202608"},
    )
    assert charge["InvoiceId"] == "202608"
    assert charge["billing_month"] == date(2026, 8, 1)
    assert charge["BillingPeriodStart"].astimezone(UTC) == datetime(2026, 8, 1, 7, tzinfo=UTC)
    assert charge["BillingPeriodEnd"].astimezone(UTC) == datetime(2026, 9, 1, 7, tzinfo=UTC)
    assert charge["ChargePeriodStart"].astimezone(UTC) == datetime(2026, 9, 1, 3, tzinfo=UTC)


@pytest.mark.slow
def test_the_kind_of_a_cost_is_the_charge_category_and_an_unknown_one_is_rejected(world: Any) -> None:
    rows = [{"cost_type": name} for name in [*TYPE_OF, "gift"]]
    rows[2]["usage_start_time"] = "2026-08-05T00:00:00"  # of a month that is already invoiced
    world.write("bill.csv", as_csv(*rows))
    assert world.one("gcp", "bill.csv").rejected == 1
    landed = world.rows(CHARGES, "x_charge_id")
    assert [row["ChargeCategory"] for row in landed] == list(TYPE_OF.values())
    assert [row["ChargeClass"] for row in landed] == [None, None, "Correction", None]
    assert world.rejects() == [(6, "cost_type: 'gift' is none that is known")]


@pytest.mark.slow
def test_labels_near_to_the_resource_win_and_the_others_stay(world: Any) -> None:
    def pairs(**values: str) -> str:
        return json.dumps([{"key": key, "value": value} for key, value in values.items()])

    charge = one(
        world,
        labels=pairs(team="serving"),
        tags=pairs(team="platform", env="prod"),
        system_labels=json.dumps([{"key": "compute.googleapis.com/machine_spec", "value": "a3-highgpu-8g"}]),
        **{"project.labels": "[{'key': 'team', 'value': 'all'}]"},
    )
    assert json.loads(charge["Tags"]) == {
        "team": "serving",
        "project.labels:team": "all",
        "tags:team": "platform",
        "env": "prod",
        "compute.googleapis.com/machine_spec": "a3-highgpu-8g",
    }
    assert charge["extra"]["x_MachineSpec"] == "a3-highgpu-8g"


def test_places_names_and_what_focus_does_not_know_go_along(world: Any) -> None:
    charge = one(world, currency="JPY", currency_conversion_rate="151.2", **{"adjustment_info.mode": "PARTIAL"})
    wanted = {
        "ProviderName": "Google Cloud", "InvoiceIssuerName": "Google Cloud", "BillingCurrency": "JPY",
        "BillingAccountId": BASE["billing_account_id"], "SubAccountId": "prod-1", "SubAccountName": "Production",
        "ResourceId": BASE["resource.global_name"], "ResourceName": "gpu-1", "ResourceType": "instances",
        "ServiceName": "Compute Engine", "ServiceCategory": "Compute", "SkuId": "D", "RegionId": "us-central1",
        "PricingQuantity": 1, "PricingUnit": "Hours", "ConsumedQuantity": 3600, "ConsumedUnit": "Seconds",
        "SkuPriceId": "D", "RegionName": "Iowa",
    }  # fmt: skip
    assert {name: charge[name] for name in wanted} == wanted
    kept = {"currency_conversion_rate": "151.2", "adjustment_info.mode": "PARTIAL", "service.id": "6F81-5844-456A"}
    assert kept.items() <= charge["extra"].items()


def test_the_service_says_the_category_and_for_compute_engine_the_sku() -> None:
    known = {
        ("Vertex AI", "Gemini 2.5 Pro input tokens"): "AI and Machine Learning",
        ("Compute Engine", "Nvidia H100 80GB GPU running in Iowa"): "Compute",
        ("Compute Engine", "Network Internet Egress from Americas to EMEA"): "Networking",
        ("Compute Engine", "Storage PD Capacity"): "Storage",
        ("BigQuery", "Analysis"): "Analytics",
        ("Something New", "x"): "Other",
    }
    rows = pl.DataFrame(list(known), ["service", "sku"], orient="row")
    assert rows.select(service_category(pl.col("service"), pl.col("sku"))).to_series().to_list() == list(known.values())


@pytest.mark.slow
def test_the_form_shows_in_the_columns_however_they_are_flattened(world: Any) -> None:
    world.write("anything.csv", as_csv({}))
    underscores = {name.replace(".", "_"): value for name, value in BASE.items()}
    world.write("other.csv", as_csv({}, base=underscores))
    world.write("plain.csv", as_csv({}, base={k: v for k, v in BASE.items() if not k.startswith("resource.")}))
    forms = {result.file: result.form for result in world.collect("gcp", "*.csv")}
    detailed, standard = "detailed usage cost export", "standard usage cost export"
    assert forms == {"anything.csv": detailed, "other.csv": detailed, "plain.csv": standard}
    assert len({(row["BilledCost"], row["InvoiceId"], row["SkuId"]) for row in world.rows(CHARGES)}) == 1


def test_a_file_of_another_kind_fails_and_says_what_it_lacks(world: Any) -> None:
    world.write("bill.csv", "lineItem/UnblendedCost,bill/PayerAccountId\n1,2\n")
    result = world.one("gcp", "bill.csv")
    assert result.status == "failed"
    assert "no billing export of Google Cloud: it has no billing_account_id, cost" in result.problem


@pytest.mark.slow
def test_nested_parquet_lands_as_the_flattened_file_does(world: Any) -> None:
    flat = {
        **BASE,
        "cost": 0.1,
        "credits": json.dumps([credit(-1e-05, "DISCOUNT")]),
        "labels": '[{"key": "team", "value": "x"}]',
    }
    world.write("flat.csv", as_csv({}, base=flat))
    row = nested(flat) | {"credits": [credit(-1e-05, "DISCOUNT")], "labels": [{"key": "team", "value": "x"}]}
    for name in ("usage_start_time", "usage_end_time", "export_time"):
        row[name] = datetime.fromisoformat(str(flat[name])).replace(tzinfo=UTC)
    pl.DataFrame([row]).write_parquet(world.folder / "nested.parquet")
    assert [result.landed for result in world.collect("gcp", "*.*")] == [1, 1]
    first, second = ({k: v for k, v in row.items() if not k.startswith("x_")} for row in world.rows(CHARGES))
    assert first == second
    assert first["BilledCost"] == Decimal("0.09999")


@pytest.mark.slow
def test_a_column_that_comes_in_the_middle_of_the_month_lands(world: Any) -> None:
    world.write("a.csv", as_csv({}))
    world.write("b.csv", as_csv({"price.effective_price": "10", "subscription.instance_id": "cud-1", "new": "n"}))
    assert [result.landed for result in world.collect("gcp", "*.csv")] == [1, 1]
    rows = world.rows(CHARGES, "x_load")
    assert [row["ContractedUnitPrice"] for row in rows] == [None, 10]
    assert [row["CommitmentDiscountId"] for row in rows] == [None, "cud-1"]
    assert json.loads(rows[1]["x_extra"])["new"] == "n"


def test_a_focus_export_keeps_its_columns_and_turns_pairs_of_tags_into_an_object(world: Any) -> None:
    row = {
        "BilledCost": 1.5, "EffectiveCost": 1.5, "ListCost": 2.0, "ContractedCost": 2.0, "BillingCurrency": "EUR",
        "BillingAccountId": "01", "ChargeCategory": "Usage", "ProviderName": "Google", "x_CostType": "regular",
        "BillingPeriodStart": datetime(2026, 9, 1, 7, tzinfo=UTC),
        "BillingPeriodEnd": datetime(2026, 10, 1, 7, tzinfo=UTC),
        "ChargePeriodStart": datetime(2026, 9, 2, tzinfo=UTC), "ChargePeriodEnd": datetime(2026, 9, 2, 1, tzinfo=UTC),
        "Tags": [{"Key": "team", "Value": "x"}], "x_Credits": [{"Name": "t", "Amount": -0.5}], "x_ExportTime": "t",
    }  # fmt: skip
    pl.DataFrame([row]).write_parquet(world.folder / "focus.parquet")
    assert world.one("gcp", "focus.parquet").form == "FOCUS export"
    [charge] = world.rows(CHARGES)
    assert (charge["BilledCost"], charge["Tags"], charge["ProviderName"]) == (
        Decimal("1.5"),
        '{"team": "x"}',
        "Google Cloud",
    )
    assert json.loads(json.loads(charge["x_extra"])["x_Credits"]) == [{"Name": "t", "Amount": -0.5}]


def test_settings_of_an_export_are_refused_beside_files(world: Any) -> None:
    world.write("bill.csv", as_csv({}))
    with pytest.raises(ConfigError, match="it is for asking the provider, and path reads files"):
        world.one("gcp", "bill.csv", since="2026-09-01")


# -- the shared data ------------------------------------------------------------------------------------------------

FILES = {
    "gcp_native/koku_gcp_2022-08_resource.csv": 9,
    "native_synthetic_gpu/gcp_detailed_2026-09.csv.gz": 2112
    + 1416,  # rows, and a promotional credit on two of three of them
    "restatement/gcp_detailed_2026-09_late_batch.csv.gz": 24,
    "focus_synthetic/focus_1_2_cost_and_usage_gcp.csv.gz": 3000,
}
Totals = dict[tuple[str, str, str], Decimal]


def own_totals(path: Path) -> Totals:
    """Net by account, currency and invoice, as csv, Decimal and Python read the file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    totals: Totals = defaultdict(Decimal)
    for row in csv.DictReader(io.StringIO(content.decode())):
        if "BilledCost" in row:
            totals[row["BillingAccountId"], row["BillingCurrency"], row["InvoiceId"]] += Decimal(row["BilledCost"])
            continue
        key = (row["billing_account_id"], row["currency"], row["invoice.month"])
        amounts = [Decimal(str(one["amount"])) for one in ast.literal_eval(row["credits"])]
        totals[key] += Decimal(row["cost"]) + sum(amounts)
    return totals


@pytest.mark.parametrize("file", FILES)
def test_every_shared_file_lands_at_its_own_totals(world: Any, shared: Path, file: str) -> None:
    path = shared / "billing" / file
    result = world.one("gcp", str(path))
    assert (result.read, result.landed, result.rejected) == (FILES[file], FILES[file], 0)
    landed = world.query(
        CHARGES,
        "select BillingAccountId, BillingCurrency, InvoiceId, sum(BilledCost + x_BilledCostRounding) as net, "
        "sum(EffectiveCost + x_EffectiveCostRounding) as effective from lake.charges group by all",
    )
    own = own_totals(path)
    assert len(landed) == len(own)
    for row in landed:
        expected = own[row["BillingAccountId"], row["BillingCurrency"], row["InvoiceId"]]
        assert abs(row["net"] - expected) <= Decimal("1e-9")
        if "focus" not in file:
            assert row["effective"] == row["net"]


@pytest.mark.slow
def test_a_late_batch_is_appended_and_changes_nothing_before_it(world: Any, shared: Path) -> None:
    month = shared / "billing/native_synthetic_gpu/gcp_detailed_2026-09.csv.gz"
    late = shared / "billing/restatement/gcp_detailed_2026-09_late_batch.csv.gz"
    world.write("month.csv.gz", month.read_bytes())
    world.one("gcp", "*.csv.gz")
    total = "select sum(BilledCost + x_BilledCostRounding) as net from lake.charges"
    [before] = world.query(CHARGES, total)
    world.write("late.csv.gz", late.read_bytes())
    assert {result.status for result in world.collect("gcp", "*.csv.gz")} == {"landed", "unchanged"}
    [after] = world.query(CHARGES, total)
    assert after["net"] - before["net"] == Decimal("-202.56")


def test_the_fee_of_a_commitment_is_a_recurring_purchase_and_names_its_commitment_where_the_export_does(
    world: Any,
) -> None:
    fee = {"cost": "3", "resource.name": "", "resource.global_name": ""}
    world.write(
        "bill.csv",
        as_csv(
            {
                **fee,
                "sku.description": "Commitment v1: A3 Cpu in Americas for 1 Year",
                "subscription.instance_id": "c-1",
            },
            {
                **fee,
                "sku.description": "Commitment - dollar based v1: GCE for 3 years",
                "subscription.instance_id": "c-2",
            },
            {**fee, "sku.description": "Commitment v1: A3 Ram in Americas for 1 Year"},
            {"credits": json.dumps([credit(-10, "COMMITTED_USAGE_DISCOUNT", "Committed Usage Discount: CPU")])},
        ),
    )
    assert world.one("gcp", "bill.csv").landed == 4
    cores, spend, nameless, use = world.rows(CHARGES, "x_charge_id")
    for row in (cores, spend, nameless):
        assert (row["ChargeCategory"], row["ChargeFrequency"], row["PricingCategory"]) == (
            "Purchase", "Recurring", "Standard",
        )  # fmt: skip
        # What it covered is not told, so that it is not spread: it costs what it is billed.
        assert (row["BilledCost"], row["EffectiveCost"], row["ConsumedQuantity"]) == (3, 3, None)
    shown = ("Id", "Type", "Category", "Status", "Quantity", "Unit")
    told = [tuple(row[f"CommitmentDiscount{name}"] for name in shown) for row in (cores, spend, nameless, use)]
    assert told == [
        ("c-1", "Committed Use Discount", "Usage", None, 1, "Hours"),
        ("c-2", "Committed Use Discount", "Spend", None, 3, "USD"),
        (None,) * 6,
        (None,) * 6,
    ]
    assert (use["ChargeCategory"], use["PricingCategory"], use["EffectiveCost"]) == ("Usage", "Committed", 0)


@pytest.mark.slow
def test_what_is_counted_in_bytes_is_in_billions_for_a_large_store_has_more_digits_than_the_lake(world: Any) -> None:
    store = {
        "usage.unit": "byte-seconds",
        "usage.amount": "3312500000000000000001",
        "usage.pricing_unit": "gibibyte month",
    }
    charge = one(world, **store, **{"sku.description": "Storage PD Capacity"})
    assert (charge["ConsumedQuantity"], charge["ConsumedUnit"]) == (Decimal("3312500000000.000000001"), "GB-Seconds")
    assert (charge["PricingUnit"], charge["ServiceName"], charge["ServiceCategory"]) == (
        "GiB-Months", "Persistent Disk", "Storage",
    )  # fmt: skip
    assert charge["extra"]["usage.amount"] == store["usage.amount"]
    assert charge["extra"]["usage.unit"] == "byte-seconds"
    assert charge["extra"]["service.description"] == "Compute Engine"


@pytest.mark.slow
def test_a_machine_has_its_type_cores_and_gpus_and_a_price_of_many_units_is_no_unit_price(world: Any) -> None:
    labels = [
        {"key": "compute.googleapis.com/machine_spec", "value": "a3-highgpu-8g"},
        {"key": "compute.googleapis.com/cores", "value": "208"},
    ]
    charge = one(
        world,
        system_labels=json.dumps(labels),
        **{"price.effective_price": "10", "price.pricing_unit_quantity": "1000", "location.region": "europe-west4"},
    )
    assert json.loads(charge["SkuPriceDetails"]) == {"InstanceType": "a3-highgpu-8g", "CoreCount": 208, "GpuCount": 8}
    assert (charge["ContractedUnitPrice"], charge["extra"]["price.effective_price"]) == (None, "10")
    assert (charge["RegionName"], one(world, **{"price.effective_price": "10"})["ContractedUnitPrice"]) == (
        "Netherlands", 10,
    )  # fmt: skip
