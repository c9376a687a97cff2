"""`farthing init` knows a file by what is in it, whatever it is called."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from farthing.starter import kind_of, starter
from tests.conftest import ROOT
from tests.farthing.commands import farthing

_GCP = (
    "billing_account_id,service.description,sku.id,usage_start_time,usage_end_time,cost,currency,credits,invoice.month"
)
_FOCUS = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart"
_LEGACY = (
    "lineItem/LineItemType,lineItem/UnblendedCost,lineItem/CurrencyCode,lineItem/UsageStartDate,lineItem/UsageEndDate,"
    "bill/BillingPeriodStartDate,bill/BillingPeriodEndDate"
)
_CUR2 = (
    "line_item_line_item_type,line_item_unblended_cost,line_item_currency_code,line_item_usage_start_date,"
    "line_item_usage_end_date,bill_billing_period_start_date,bill_billing_period_end_date,resource_tags"
)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (_GCP, "gcp"),
        (_GCP.replace(".", "_"), "gcp"),
        (_GCP + ",resource.global_name", "gcp"),
        (_FOCUS + ",x_ExportTime", "gcp"),
        ("SubscriptionId,BillingAccountId,Date,MeterId,Quantity,CostInBillingCurrency,BillingCurrency", "azure"),
        ("\ufeffsubscriptionId,date,meterId,quantity,costInBillingCurrency,pricingCurrency", "azure"),
        ("SubscriptionGuid,UsageDateTime,MeterId,UsageQuantity,PreTaxCost,Currency,InstanceId", "azure"),
        ("Abonnement (SubscriptionId);Datum (Date);Menge (Quantity);Kosten (CostInBillingCurrency)", "azure"),
        (_FOCUS + ",x_SkuMeterId", "azure"),
        (_LEGACY, "aws"),
        (_CUR2, "aws"),
        (_FOCUS + ",x_ServiceCode,x_UsageType", "aws"),
        (_FOCUS, "focus"),
        (_FOCUS + ",x_ServiceCode,x_UsageType,x_SkuMeterId,x_ExportTime", "focus"),  # several clouds in one file
        ("date,service,amount,currency,team", "costs"),
        ("Date,Cost,Team", None),
        ("started_at,model,cost", "requests"),
    ],
)
def test_a_table_is_told_by_its_header(tmp_path: Path, header: str, kind: str | None) -> None:
    path = tmp_path / "table.csv"
    path.write_text(header + "\n", encoding="utf-8")
    assert kind_of(path) == kind


def test_payloads_of_litellm_are_told_by_their_fields_and_lead_to_tokens(tmp_path: Path) -> None:
    logged = ROOT / "tests" / "fixtures" / "litellm" / "callback.jsonl"
    (tmp_path / "calls.jsonl").write_bytes(logged.read_bytes())
    made = starter(tmp_path)
    assert [(guess.kind, guess.pattern) for guess in made.guesses] == [("litellm", "calls.jsonl")]
    assert 'driver = "tokens"' in made.text


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("otel", '{"resourceSpans": [{"scopeSpans": []}]}'),
        ("bedrock", '{"schemaType": "ModelInvocationLog", "requestId": "r", "modelId": "m", "input": {}}'),
        ("langfuse", '{"id": "o", "parent_observation_id": "", "provided_model_name": "m", "type": "GENERATION"}'),
        ("helicone", '{"request_id": "r", "request_created_at": "2026-10-01", "request_model": "m"}'),
    ],
)
def test_a_log_in_the_form_of_a_tool_is_told_by_its_fields(tmp_path: Path, kind: str, line: str) -> None:
    (tmp_path / "log.jsonl").write_text(line + "\n", encoding="utf-8")
    made = starter(tmp_path)
    assert [(guess.kind, guess.pattern) for guess in made.guesses] == [(kind, "log.jsonl")]


def test_an_export_of_google_is_told_by_the_structs_of_parquet(tmp_path: Path) -> None:
    row = {
        "billing_account_id": "1", "usage_start_time": "x", "usage_end_time": "x", "cost": 1.0, "currency": "USD",
        "service": {"id": "1", "description": "d"}, "invoice": {"month": "202609"}, "resource": {"name": "n"},
    }  # fmt: skip
    pl.DataFrame([row]).write_parquet(tmp_path / "part-0.parquet")
    assert kind_of(tmp_path / "part-0.parquet") == "gcp"


@pytest.mark.parametrize(
    ("kind", "bucket", "result"),
    [
        ("openai", "start_time", {"amount": {"value": 1, "currency": "usd"}}),
        ("openai_usage", "start_time", {"num_model_requests": 1, "model": "m"}),
        ("anthropic", "starting_at", {"amount": "1", "currency": "USD"}),
        ("anthropic_usage", "starting_at", {"output_tokens": 1, "uncached_input_tokens": 1}),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_saved_pages_of_a_vendor_are_told_by_what_their_results_have(
    tmp_path: Path, kind: str, bucket: str, result: object, indent: int | None
) -> None:
    path = tmp_path / "answer.json"
    page = {"data": [{bucket: 1793491200, "results": [result]}], "has_more": False}
    path.write_text(json.dumps(page, indent=indent), encoding="utf-8")
    assert kind_of(path) == kind


@pytest.mark.parametrize("text", ['{"data": [{"results": 5}]}', '[{"data": 1, "results": 2}]', '{"when": 1}', "{", ""])
def test_json_that_is_nothing_known_is_told_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "some.json").write_text(text, encoding="utf-8")
    assert kind_of(tmp_path / "some.json") is None


@pytest.mark.slow
def test_a_folder_of_clouds_becomes_a_source_for_each_and_doctor_names_the_forms(tmp_path: Path) -> None:
    for name, header in (("aws/cur.csv", _LEGACY), ("google.csv", _GCP)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(header + "\n", encoding="utf-8")
    made = starter(tmp_path)
    assert [(guess.kind, guess.pattern) for guess in made.guesses] == [("aws", "aws/cur.csv"), ("gcp", "google.csv")]
    (tmp_path / "farthing.toml").write_text(made.text, encoding="utf-8")
    found = farthing("doctor", "--json", "--project", tmp_path).value["checks"]
    told = {check["area"]: check["detail"] for check in found if check["subject"] == "files"}
    assert ", CUR (legacy); the first rows land" in told["source aws"]
    assert ", standard usage cost export; the first rows land" in told["source gcp"]
    listed = farthing("collect", "--dry-run", "--json", "--project", tmp_path).value
    assert [row["form"] for row in listed] == ["CUR (legacy)", "standard usage cost export"]


SHARED = {
    "aws_cur_legacy/*": "aws", "azure_native/*.csv": "azure", "gcp_native/*.csv": "gcp",
    "native_synthetic_gpu/aws*": "aws", "native_synthetic_gpu/azure*": "azure", "native_synthetic_gpu/gcp*": "gcp",
    "focus_synthetic/*cost_and_usage*": "focus", "focus_real/*.csv": "focus",
}  # fmt: skip


@pytest.mark.parametrize("pattern", SHARED)
def test_real_bills_are_told_by_their_columns(shared: Path, pattern: str) -> None:
    found = {path.name: kind_of(path) for path in (shared / "billing").glob(pattern)}
    assert found == dict.fromkeys(found, SHARED[pattern])
    assert found
