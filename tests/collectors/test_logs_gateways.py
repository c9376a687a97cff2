"""Helicone, API Management and Vertex: what each counts, and who asked, with known numbers."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from farthing.errors import SourceError
from farthing.lake.schemas import REQUESTS
from tests.collectors.conftest import collector

SECRET = "Dear doctor, my knee hurts"


def heavy(first: Any, *others: Any) -> list[Any]:
    """All of them, the first in every run."""
    return [first, *(pytest.param(other, marks=pytest.mark.heavy) for other in others)]


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def tokens(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["input_tokens"], row["cached_input_tokens"], row["output_tokens"]


# -- Helicone ---------------------------------------------------------------------------------------------------


def helicone(number: int, **more: Any) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        "request_created_at": "2026-10-01 10:00:00.000",
        "response_created_at": "2026-10-01 10:00:09.000",
        "response_status": 200.0,
        "request_model": "gpt-5",
        "response_model": "gpt-5-2025-08-07",
        "provider": "OPENAI",
        "request_user_id": "alice",
        "request_properties": {"team": "red", "prompt": SECRET},
        "request_body": {"messages": SECRET},
        "delay_ms": 2500,
        "time_to_first_token": 400,
        "prompt_tokens": 100.0,
        "prompt_cache_read_tokens": 30.0,
        "prompt_cache_write_tokens": 0.0,
        "completion_tokens": 20.0,
        "cost": 0.0012,
        "cache_reference_id": "00000000-0000-0000-0000-000000000000",
        **more,
    }


def test_helicone_counts_as_the_provider_does_and_times_in_milliseconds(world: Any) -> None:
    claude = helicone(2, provider="ANTHROPIC", delay_ms=None, cache_reference_id="8f14e45f-ceea-467a-9575-1f2f8e2c7d10")
    world.write("in.jsonl", lines(helicone(1), claude))
    assert world.one("helicone", "in.jsonl").landed == 2
    first, second = world.rows(REQUESTS, "request_id")
    assert tokens(first) == (100, 30, 20)
    assert tokens(second) == (130, 30, 20)
    assert first["ended_at"] - first["started_at"] == timedelta(milliseconds=2500)
    assert first["first_token_at"] - first["started_at"] == timedelta(milliseconds=400)
    assert second["ended_at"] - second["started_at"] == timedelta(seconds=9)
    assert (first["gateway_cache_hit"], second["gateway_cache_hit"]) == (False, True)
    assert (first["provider"], first["status"], first["user_id"]) == ("openai", "200", "alice")
    assert (first["model"], first["response_model"], float(first["reported_cost"])) == (
        "gpt-5", "gpt-5-2025-08-07", 0.0012
    )  # fmt: skip
    assert json.loads(first["tags"]) == {"team": "red"}
    assert "Dear" not in str([first, second])


# -- API Management ---------------------------------------------------------------------------------------------


def piece(number: int, prompt: int | None = None, answer: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "Type": "ApiManagementGatewayLlmLog",
        "TimeGenerated": "2026-10-01T10:00:07Z",
        "CorrelationId": "c1",
        "SequenceNumber": number,
        "ModelName": "gpt-4o",
        "DeploymentName": "chat",
        "PromptTokens": prompt,
        "CompletionTokens": answer,
        "TotalTokens": None if prompt is None or answer is None else prompt + answer,
        "Region": "swedencentral",
        "RequestMessages": SECRET,
        **more,
    }


GATEWAY = {
    "Type": "ApiManagementGatewayLogs",
    "TimeGenerated": "2026-10-01T10:00:00Z",
    "CorrelationId": "c1",
    "UserId": "alice",
    "ApimSubscriptionId": "search-team",
    "ResponseCode": 200,
    "TotalTime": 6500,
}


@pytest.mark.parametrize("usage", heavy(0, 1, 2))
def test_of_the_pieces_of_a_call_the_one_with_the_usage_lands(world: Any, usage: int) -> None:
    pieces = [piece(0), piece(1, 0, 0), piece(2)]
    pieces[usage] = piece(usage, 120, 30)
    world.write("llm.jsonl", lines(*pieces))
    result = world.one("apim", "llm.jsonl")
    assert (result.read, result.landed, result.duplicate) == (3, 1, 2)
    (row,) = world.rows(REQUESTS)
    assert tokens(row) == (120, None, 30)
    assert (row["model"], row["provider"], row["user_id"]) == ("gpt-4o", "azure.ai.openai", None)
    assert "Dear" not in str(row)


def test_a_later_file_with_a_piece_without_usage_takes_nothing_away(world: Any) -> None:
    world.write("1.jsonl", lines(piece(0, 120, 30)))
    world.write("2.jsonl", lines(piece(1)))
    assert [result.landed for result in world.collect("apim", "*.jsonl")] == [1, 0]
    assert tokens(world.rows(REQUESTS)[0]) == (120, None, 30)


def of_gateway(row: dict[str, Any]) -> tuple[Any, ...]:
    lasted = (row["ended_at"] - row["started_at"]).total_seconds()
    return row["user_id"], row["status"], lasted, json.loads(row["tags"])["ApimSubscriptionId"]


def test_the_gateway_log_in_the_same_file_says_who_called_when_and_how_long(world: Any) -> None:
    world.write("both.jsonl", lines(piece(0, 120, 30), GATEWAY, GATEWAY | {"CorrelationId": "no-model"}))
    result = world.one("apim", "both.jsonl")
    assert (result.read, result.landed, result.aside) == (1, 1, 2)
    (row,) = world.rows(REQUESTS)
    assert of_gateway(row) == ("alice", "200", 6.5, "search-team")
    assert str(row["started_at"]) == "2026-10-01 10:00:00"


@pytest.mark.heavy
def test_the_gateway_log_in_files_of_its_own_is_that_of_the_same_hour(world: Any) -> None:
    hour = "resourceId=/SERVICE/APIM/y=2026/m=10/d=01/h=10/m=00/PT1H.json"
    blob = {
        "time": "2026-10-01T10:00:07Z",
        "category": "GatewayLlmLogs",
        "correlationId": "c1",
        "properties": {"modelName": "gpt-4o", "promptTokens": 120, "completionTokens": 30, "totalTokens": 150},
    }
    gateway = {
        "time": "2026-10-01T10:00:00Z",
        "category": "GatewayLogs",
        "correlationId": "c1",
        "durationMs": 6500,
        "properties": {"userId": "alice", "apimSubscriptionId": "search-team", "responseCode": 200},
    }
    world.write(f"insights-logs-gatewayllmlogs/{hour}", lines(blob))
    world.write(f"insights-logs-gatewaylogs/{hour}", lines(gateway))
    (result,) = world.collect("apim", "insights-logs-*/**/*.json")
    assert (result.read, result.landed, result.aside) == (1, 1, 0)
    (row,) = world.rows(REQUESTS)
    assert tokens(row) == (120, None, 30)
    assert of_gateway(row) == ("alice", "200", 6.5, "search-team")


def test_the_gateway_log_alone_is_no_log_of_requests(world: Any) -> None:
    world.write("gatewaylogs.jsonl", lines(GATEWAY))
    with pytest.raises(SourceError, match="all that path matches is gateway logs, which are no requests"):
        world.collect("apim", "*.jsonl")


# -- Vertex -----------------------------------------------------------------------------------------------------

USAGE = {
    "promptTokenCount": 324,
    "cachedContentTokenCount": 200,
    "candidatesTokenCount": 495,
    "thoughtsTokenCount": 1364,
    "toolUsePromptTokenCount": 40,
    "totalTokenCount": 2223,
    "trafficType": "ON_DEMAND",
}
ANSWER = {"candidates": [{"content": SECRET}], "usageMetadata": USAGE, "modelVersion": "gemini-2.5-pro"}


def vertex(**more: Any) -> dict[str, Any]:
    return {
        "request_id": "123456",
        "logging_time": "2026-10-01T10:00:00.5Z",
        "endpoint": "projects/1/locations/us-central1/endpoints/9",
        "model": "publishers/google/models/gemini-2.5-pro",
        "full_request": {"labels": {"user": "alice", "team": "red"}, "contents": SECRET},
        "full_response": ANSWER,
        **more,
    }


def write(world: Any, form: str, row: dict[str, Any]) -> Path:
    if form == "objects":
        return Path(world.write("in.jsonl", lines(row)))
    flat = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()}
    if form == "text":
        return Path(world.write("in.jsonl", lines(flat)))
    pl.DataFrame([flat]).write_parquet(world.folder / "in.parquet")
    return Path(world.folder / "in.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("form", heavy("parquet", "objects", "text"))
def test_vertex_adds_thoughts_to_output_and_tools_to_input_and_leaves_the_cache_inside(world: Any, form: str) -> None:
    """langfuse#12531: 324 + 1364 + 495 = 2183, and here 40 more that a tool put in."""
    assert world.one("vertex", write(world, form, vertex()).name).landed == 1
    (row,) = world.rows(REQUESTS)
    assert tokens(row) == (364, 200, 1859)
    assert (row["reasoning_tokens"], row["service_tier"], row["region"]) == (1364, "standard", "us-central1")
    assert (row["model"], row["response_model"], row["user_id"]) == ("gemini-2.5-pro", "gemini-2.5-pro", "alice")
    assert json.loads(row["tags"])["team"] == "red"
    assert "Dear" not in str(row)


@pytest.mark.slow
@pytest.mark.parametrize("form", heavy("parquet", "objects"))
def test_of_the_answers_of_a_stream_the_last_usage_counts(world: Any, form: str) -> None:
    early = {"usageMetadata": {"promptTokenCount": 324, "candidatesTokenCount": 3}}
    answers = [json.dumps(early), json.dumps({**ANSWER, "usageMetadata": USAGE}), json.dumps({"candidates": [SECRET]})]
    row = vertex(full_response=None, response_payload=answers)
    assert world.one("vertex", write(world, form, row).name).landed == 1
    assert tokens(world.rows(REQUESTS)[0]) == (364, 200, 1859)


def test_an_answer_without_usage_has_none_and_provisioned_traffic_is_told(world: Any) -> None:
    paid = ANSWER | {"usageMetadata": {"promptTokenCount": 5, "trafficType": "PROVISIONED_THROUGHPUT"}}
    silent = vertex(request_id="2", full_response={"candidates": []})
    world.write("in.jsonl", lines(vertex(request_id="1", full_response=paid), silent))
    assert world.one("vertex", "in.jsonl").landed == 2
    first, second = world.rows(REQUESTS, "request_id")
    assert (tokens(first), first["service_tier"]) == ((5, None, None), "provisioned")
    assert (tokens(second), second["usage_quality"]) == ((None, None, None), "missing")


def test_that_a_sample_is_not_the_whole_log_is_said(world: Any) -> None:
    world.write("in.jsonl", lines(vertex()))
    made = world.config("vertex", "in.jsonl")
    ((status, what, fix),) = collector("vertex").gaps("one", made.sources["one"], made)
    assert (status, "samplingRate = 1" in what, "loggingConfig" in fix) == ("note", True, True)
