"""Reports of AWS become FOCUS rows: what is billed, what it is worth in use, and whose it is."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest

from farthing.lake.schemas import CHARGES

PERIOD = {
    "bill/BillingPeriodStartDate": "2026-09-01T00:00:00Z",
    "bill/BillingPeriodEndDate": "2026-10-01T00:00:00Z",
    "lineItem/UsageStartDate": "2026-09-01T00:00:00Z",
    "lineItem/UsageEndDate": "2026-09-01T01:00:00Z",
    "lineItem/CurrencyCode": "USD",
    "lineItem/UsageAccountId": "012345678901",
}
PLAN = "arn:aws:savingsplans::012345678901:savingsplan/one"
RESERVATION = "arn:aws:ec2:us-east-1:012345678901:reserved-instances/two"


def line(kind: str, cost: str, **more: str) -> dict[str, str]:
    """A line of a report; `more` are columns in short, as in reservation_EffectiveCost."""
    long = {name.replace("_", "/", 1): value for name, value in more.items()}
    return {**PERIOD, "lineItem/LineItemType": kind, "lineItem/UnblendedCost": cost, **long}


def text(lines: Sequence[dict[str, str]]) -> str:
    names = dict.fromkeys(name for one in lines for name in one)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(names), restval="")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def landed(world: Any, *lines: dict[str, str]) -> list[dict[str, Any]]:
    world.write("cur.csv", text(lines))
    result = world.one("aws", "cur.csv")
    assert (result.read, result.landed) == (len(lines), len(lines)), world.rejects()
    return list(world.rows(CHARGES, "cast(split_part(x_charge_id, ':', 2) as int), x_charge_id"))


def costs(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(f"{row['BilledCost'].normalize():f}", f"{row['EffectiveCost'].normalize():f}") for row in rows]


RESERVED = {
    "reservation_EffectiveCost": "",
    "reservation_UnusedAmortizedUpfrontFeeForBillingPeriod": "",
    "reservation_UnusedRecurringFee": "",
}
SAVINGS = {
    "savingsPlan_SavingsPlanEffectiveCost": "",
    "savingsPlan_TotalCommitmentToDate": "",
    "savingsPlan_UsedCommitment": "",
}


def test_a_reservation_costs_what_its_use_is_worth_and_what_nobody_used_is_a_row_of_its_own(world: Any) -> None:
    arn = {"reservation_ReservationARN": RESERVATION}
    used, full, paid, idle, upfront = landed(
        world,
        line("DiscountedUsage", "0", **arn, **{**RESERVED, "reservation_EffectiveCost": "0.07"}),
        line("RIFee", "3", **arn, **{**RESERVED, "reservation_UnusedRecurringFee": "0.0"}),
        line(
            "RIFee", "22.32", **arn,
            **{
                **RESERVED,
                "reservation_UnusedAmortizedUpfrontFeeForBillingPeriod": "22.3369863",
                "reservation_UnusedRecurringFee": "22.32",
            },
        ),
        line("Fee", "263", **arn, **RESERVED),
    )  # fmt: skip
    rows = (used, full, paid, idle, upfront)
    assert costs(rows) == [("0", "0.07"), ("3", "0"), ("22.32", "0"), ("0", "44.6569863"), ("263", "0")]
    assert [row["CommitmentDiscountStatus"] for row in rows] == ["Used", None, None, "Unused", None]
    assert [row["ChargeCategory"] for row in rows] == ["Usage", "Purchase", "Purchase", "Usage", "Purchase"]
    assert [row["x_charge_id"] for row in (paid, idle)] == ["cur.csv:4", "cur.csv:4:2"]
    assert {row["CommitmentDiscountId"] for row in rows} == {RESERVATION}
    assert (idle["x_extra"], idle["ListCost"], idle["PricingQuantity"]) == (None, 0, None)
    assert used["CommitmentDiscountType"] == "Reserved Instance"


def test_a_savings_plan_is_paid_once_and_used_or_unused_for_exactly_that(world: Any) -> None:
    arn = {"savingsPlan_SavingsPlanARN": PLAN}
    rows = landed(
        world,
        line("SavingsPlanCoveredUsage", "10", **arn, **{**SAVINGS, "savingsPlan_SavingsPlanEffectiveCost": "7.25"}),
        line("SavingsPlanNegation", "-10", **arn, **SAVINGS),
        line(
            "SavingsPlanRecurringFee", "8", **arn,
            **{**SAVINGS, "savingsPlan_TotalCommitmentToDate": "8", "savingsPlan_UsedCommitment": "7.25"},
        ),
        line("SavingsPlanUpfrontFee", "100", **arn, **SAVINGS),
    )  # fmt: skip
    assert costs(rows) == [("10", "7.25"), ("-10", "0"), ("8", "0"), ("0", "0.75"), ("100", "0")]
    assert [row["CommitmentDiscountStatus"] for row in rows] == ["Used", "Used", None, "Unused", None]
    recurring = rows[:4]
    assert sum(row["EffectiveCost"] for row in recurring) == sum(row["BilledCost"] for row in recurring) == 8
    assert rows[0]["PricingCategory"] == "Committed"


def test_discounts_credits_refunds_and_taxes_are_what_they_are_called(world: Any) -> None:
    kinds = ["EdpDiscount", "BundledDiscount", "PrivateRateDiscount", "Credit", "Refund", "Tax", "Usage", "NewKind"]
    rows = landed(world, *(line(kind, f"-{number}.5") for number, kind in enumerate(kinds)))
    assert [row["ChargeCategory"] for row in rows] == [
        "Adjustment", "Adjustment", "Adjustment", "Credit", "Adjustment", "Tax", "Usage", "Adjustment",
    ]  # fmt: skip
    assert [row["ChargeClass"] for row in rows] == [None] * 4 + ["Correction"] + [None] * 3
    assert all(row["BilledCost"] == row["EffectiveCost"] for row in rows)
    assert '"lineItem/LineItemType":"NewKind"' in rows[-1]["x_extra"]


def test_without_the_columns_that_amortise_the_cash_amounts_count(world: Any) -> None:
    rows = landed(world, line("DiscountedUsage", "0"), line("RIFee", "22"), line("SavingsPlanNegation", "-1"))
    assert costs(rows) == [("0", "0"), ("22", "22"), ("-1", "-1")]


def test_an_amortised_amount_that_is_missing_is_refused_and_not_taken_for_nothing(world: Any) -> None:
    world.write("cur.csv", text([line("DiscountedUsage", "0", **RESERVED)]))
    assert world.one("aws", "cur.csv").rejected == 1
    assert world.rejects() == [(2, "EffectiveCost is missing")]


@pytest.mark.parametrize(("extra", "billed"), [((), ["90"]), (("EdpDiscount",), ["100", "-10"])])
def test_net_amounts_are_billed_only_where_discounts_have_no_lines(
    world: Any, extra: tuple[str, ...], billed: list[str]
) -> None:
    rows = landed(
        world,
        line("Usage", "100", lineItem_NetUnblendedCost="90"),
        *(line(kind, "-10", lineItem_NetUnblendedCost="") for kind in extra),
    )
    assert [one for one, _ in costs(rows)] == billed
    assert [one for _, one in costs(rows)] == billed


def test_parts_of_a_shared_instance_are_kept_and_cost_nothing_beside_the_instance(world: Any) -> None:
    whole, part = landed(
        world,
        line("Usage", "4", lineItem_ResourceId="i-1"),
        line(
            "Usage", "4", lineItem_ResourceId="pod-1",
            splitLineItem_ParentResourceId="i-1", splitLineItem_SplitCost="1.5",
        ),
    )  # fmt: skip
    assert costs([whole, part]) == [("4", "4"), ("0", "0")]
    assert '"splitLineItem/SplitCost":"1.5"' in part["x_extra"]


def test_an_amount_with_many_decimals_lands_with_what_rounding_took(world: Any) -> None:
    [row] = landed(world, line("Usage", "0.00000000012345678901"))
    assert row["BilledCost"] + row["x_BilledCostRounding"] == Decimal("0.00000000012345678901")
    assert row["EffectiveCost"] + row["x_EffectiveCostRounding"] == Decimal("0.00000000012345678901")


def test_what_is_charged_has_its_account_resource_sku_price_and_tags(world: Any) -> None:
    gpu, monthly = landed(
        world,
        line(
            "Usage", "55.04", lineItem_ProductCode="AmazonEC2", lineItem_ResourceId="i-0a", lineItem_UsageAmount="1",
            lineItem_UsageType="BoxUsage:p5.48xlarge", product_ProductName="Amazon Elastic Compute Cloud",
            product_region="us-east-1", pricing_unit="Hrs", pricing_publicOnDemandCost="98.32",
            pricing_publicOnDemandRate="98.32", lineItem_UnblendedRate="55.04",
            **{"resourceTags_user:team": 'the "A" team', "resourceTags_aws:createdBy": "root"},
            bill_InvoicingEntity="Amazon Web Services EMEA SARL", lineItem_LegalEntity="Amazon Web Services, Inc.",
        ),
        line("RIFee", "1", lineItem_UsageEndDate="2026-09-30T23:59:59Z", lineItem_ProductCode="AmazonBedrock"),
    )  # fmt: skip
    shown = {
        "SubAccountId": "012345678901", "ResourceId": "i-0a", "RegionId": "us-east-1", "ServiceCategory": "Compute",
        "ServiceName": "Amazon Elastic Compute Cloud", "SkuMeter": "BoxUsage:p5.48xlarge", "ProviderName": "AWS",
        "InvoiceIssuerName": "AWS", "PricingUnit": "Hours", "PricingCategory": "Standard", "ListCost": Decimal("98.32"),
        "ContractedCost": Decimal("55.04"), "ListUnitPrice": Decimal("98.32"), "PricingQuantity": Decimal(1),
        "ConsumedUnit": "Hours", "Tags": '{"team":"the \\"A\\" team","aws:createdBy":"root"}',
    }  # fmt: skip
    assert {name: gpu[name] for name in shown} == shown
    assert '"bill/InvoicingEntity":"Amazon Web Services EMEA SARL"' in gpu["x_extra"]
    assert str(monthly["ChargePeriodEnd"]).startswith("2026-10-01 00:00:00")
    assert monthly["ServiceCategory"] == "AI and Machine Learning"


def test_a_service_has_a_category_of_focus(world: Any) -> None:
    services = [
        ("AmazonEC2", "", "Storage", "EBS:VolumeUsage.gp3", "Storage"),
        ("AmazonEC2", "", "Data Transfer", "DataTransfer-Out-Bytes", "Networking"),
        ("AmazonEC2", "", "Compute Instance", "BoxUsage:p5.48xlarge", "Compute"),
        ("AmazonSageMaker", "Amazon SageMaker", "", "", "AI and Machine Learning"),
        ("4kz6ie", "Claude Sonnet 4.5 (Amazon Bedrock Edition)", "", "", "AI and Machine Learning"),
        ("awskms", "", "", "", "Security"),
        ("SomethingNew", "", "", "", "Other"),
    ]
    rows = landed(
        world,
        *(
            line(
                "Usage", "1", lineItem_ProductCode=code, product_ProductName=name, product_productFamily=family,
                lineItem_UsageType=meter,
            )
            for code, name, family, meter, _ in services
        ),
    )  # fmt: skip
    assert [row["ServiceCategory"] for row in rows] == [category for *_, category in services]


def test_cur_2_has_tags_and_products_in_maps(world: Any) -> None:
    world.parquet(
        "bill.parquet",
        "select 'Usage' as line_item_line_item_type, 0.1::double as line_item_unblended_cost, "
        "'EUR' as line_item_currency_code, '1' as line_item_usage_account_id, "
        "timestamp '2026-09-01' as bill_billing_period_start_date, "
        "timestamp '2026-10-01' as bill_billing_period_end_date, timestamp '2026-09-01' as line_item_usage_start_date, "
        "timestamp '2026-09-01 01:00' as line_item_usage_end_date, 'AmazonSageMaker' as line_item_product_code, "
        "map {'user_team': 'a\"b', 'aws_created_by': 'root'} as resource_tags, map {'x': 1.5} as discount, "
        "map {'product_name': 'Amazon SageMaker', 'gpu': '8'} as product, map {'Charge': 'x'} as cost_category, "
        "map {'k': 'v'} as tags",
    )
    result = world.one("aws", "bill.parquet")
    assert (result.form, result.landed) == ("CUR 2.0", 1)
    [row] = world.rows(CHARGES)
    assert row["Tags"] == '{"team":"a\\"b","aws:created_by":"root"}'
    assert (row["ServiceName"], row["BilledCost"], row["BillingCurrency"]) == (
        "Amazon SageMaker", Decimal("0.1"), "EUR",
    )  # fmt: skip
    for kept in ('"gpu\\":\\"8\\"', '"discount":', '"cost_category":', '"x_tags":'):
        assert kept in row["x_extra"]


def test_cur_2_in_csv_has_its_maps_as_json(world: Any) -> None:
    names = {name.replace("/", "_"): value for name, value in line("Usage", "1").items()}
    snake = {
        "".join("_" + c.lower() if c.isupper() else c for c in name).replace("__", "_"): v for name, v in names.items()
    }
    maps = {"resource_tags": '{"user_team":"x, \\"user_y", "aws_z":"1"}', "product": '{"product_name":"Amazon S3"}'}
    world.write("cur2.csv.zip", _zipped("cur2.csv", text([{**snake, **maps}])))
    assert world.one("aws", "cur2.csv.zip").landed == 1
    [row] = world.rows(CHARGES)
    assert row["Tags"] == '{"team":"x, \\"user_y", "aws:z":"1"}'
    assert row["ServiceName"] == "Amazon S3"


def _zipped(name: str, content: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def test_focus_of_aws_lands_as_it_is_with_one_name_of_the_provider(world: Any) -> None:
    world.parquet(
        "bill.parquet",
        'select 0.1::double as "BilledCost", 0.1::double as "EffectiveCost", \'USD\' as "BillingCurrency", '
        "'Usage' as \"ChargeCategory\", timestamp_ms '2026-09-01' as \"BillingPeriodStart\", "
        "timestamp_ms '2026-10-01' as \"BillingPeriodEnd\", timestamp_ms '2026-09-01' as \"ChargePeriodStart\", "
        "timestamp_ms '2026-09-01 01:00' as \"ChargePeriodEnd\", 'Amazon Web Services, Inc.' as \"ProviderName\", "
        "map {'team': 'a'} as \"Tags\", 'RunInstances' as \"x_Operation\", null::varchar as \"InvoiceId\"",
    )
    result = world.one("aws", "bill.parquet")
    assert result.form == "FOCUS 1.2"
    [row] = world.rows(CHARGES)
    assert (row["ProviderName"], row["Tags"], row["BilledCost"]) == ("AWS", '{"team":"a"}', Decimal("0.1"))
    assert row["x_extra"] == '{"x_Operation":"RunInstances"}'


def test_a_file_that_is_no_bill_of_aws_says_what_it_would_need(world: Any) -> None:
    world.write("other.csv", "date,amount\n2026-09-01,1\n")
    result = world.one("aws", "other.csv")
    assert result.status == "failed"
    assert "a cost and usage report needs line_item_line_item_type" in result.problem
    assert "it has: date, amount" in result.problem


@pytest.mark.slow
def test_columns_that_come_in_the_middle_of_a_month_are_empty_before(world: Any) -> None:
    world.write("a.csv", text([line("Usage", "1")]))
    world.write("b.csv", text([line("Usage", "2", **{"resourceTags_user:team": "red"})]))
    world.collect("aws", "*.csv")
    assert [row["Tags"] for row in world.rows(CHARGES, "BilledCost")] == [None, '{"team":"red"}']


@pytest.mark.slow
def test_both_header_styles_and_both_formats_give_the_same_charges(world: Any) -> None:
    lines = [
        line("Usage", "1.25", product_ProductName="Amazon S3", lineItem_ProductCode="AmazonS3", bill_InvoiceId="7"),
        line("Tax", "0.2", product_ProductName="Amazon S3", lineItem_ProductCode="AmazonS3", bill_InvoiceId="7"),
    ]
    world.write("cur.csv", text(lines))
    frame = pl.read_csv(io.StringIO(text(lines)), infer_schema=False)
    styled = frame.rename(
        lambda name: "".join("_" + c.lower() if c.isupper() else c for c in name).replace("/_", "_").replace("/", "_")
    )
    styled.with_columns(pl.col("line_item_unblended_cost").cast(pl.Float64)).write_parquet(world.folder / "cur.parquet")
    slash, snake = world.collect("aws", "cur.*")
    assert (slash.form, snake.form) == ("CUR (legacy)", "CUR (legacy), Parquet")
    columns = [name for name in CHARGES.columns if name not in ("x_charge_id", "x_load", "x_extra")]
    with duckdb.connect() as con:
        world.lake.view(con, CHARGES)
        wanted = ", ".join(f'"{name}"' for name in columns)
        [(different,)] = con.sql(f"select count(*) from (select distinct {wanted} from lake.charges)").fetchall()
    assert different == 2


def test_a_service_has_one_category_and_a_machine_its_cores_gpus_and_memory(world: Any) -> None:
    ec2 = {"lineItem_ProductCode": "AmazonEC2", "product_ProductName": "Amazon Elastic Compute Cloud"}
    disk, spot, told = landed(
        world,
        line("Usage", "1", **ec2, product_productFamily="Storage", product_region="eu-west-2", product_sku="S"),
        line("Usage", "2", **ec2, lineItem_UsageType="USE1-SpotUsage:p5.48xlarge", lineItem_ResourceId="i-1"),
        line(
            "Usage", "3", **ec2, lineItem_UsageType="BoxUsage:x.y", product_instanceType="x.y", product_vcpu="96",
            product_gpu="2", product_memory="1152 GiB", product_operatingSystem="Linux", pricing_RateId="7",
            product_sku="S", lineItem_ResourceId="i-2", product_productFamily="Compute Instance",
        ),
    )  # fmt: skip
    assert (disk["ServiceName"], disk["ServiceCategory"]) == ("Amazon Elastic Block Store", "Storage")
    assert (disk["RegionName"], disk["ResourceType"], disk["SkuPriceId"]) == ("EU (London)", None, None)
    assert json.loads(disk["x_extra"])["product/ProductName"] == "Amazon Elastic Compute Cloud"
    assert json.loads(spot["SkuPriceDetails"]) == {"InstanceType": "p5.48xlarge", "GpuCount": 8}
    assert json.loads(told["SkuPriceDetails"]) == {
        "InstanceType": "x.y", "CoreCount": 96, "GpuCount": 2, "MemorySize": 1152, "OperatingSystem": "Linux",
    }  # fmt: skip
    assert (told["ResourceType"], told["SkuPriceId"], told["ServiceName"]) == (
        "Compute Instance", "S.7", "Amazon Elastic Compute Cloud",
    )  # fmt: skip
