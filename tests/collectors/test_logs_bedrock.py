"""Bedrock: cached tokens stand outside of input; the ARN says model, region and who; prompts stay where they are."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from farthing.lake.schemas import REJECTS, REQUESTS

SECRET = "Dear doctor, my knee hurts"
ROLE = "arn:aws:sts::123456789012:assumed-role/app"


def call(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-10-01T10:00:00Z",
        "accountId": "123456789012",
        "region": "eu-west-1",
        "requestId": f"r{number}",
        "operation": "Converse",
        "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "identity": {"arn": f"{ROLE}/alice"},
        "input": {
            "inputContentType": "application/json",
            "inputTokenCount": 100,
            "cacheReadInputTokenCount": 500,
            "cacheWriteInputTokenCount": 30_000,
            "inputBodyJson": {"messages": [{"role": "user", "content": [{"text": SECRET}]}]},
        },
        "output": {
            "outputTokenCount": 25,
            "outputBodyJson": {
                "output": {"message": {"content": [{"text": SECRET}]}},
                "metrics": {"latencyMs": 2500},
                "usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 20_000}, {"ttl": "5m", "inputTokens": 10_000}]},
            },
        },
        **more,
    }


def land(world: Any, *calls: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    world.write("log.json", "".join(json.dumps(one) + "\n" for one in calls))
    result = world.one("bedrock", "log.json", **settings)
    assert result.rejected == 0, world.rejects()
    return list(world.rows(REQUESTS, "request_id"))


def test_cached_tokens_stand_outside_of_input_and_are_added(world: Any) -> None:
    (row,) = land(world, call())
    assert row["input_tokens"] == 30_600
    assert (row["cached_input_tokens"], row["cache_write_tokens"], row["output_tokens"]) == (500, 30_000, 25)
    assert row["cache_write_1h_tokens"] == 20_000
    assert row["ended_at"] - row["started_at"] == timedelta(milliseconds=2500)
    assert row["started_at"] == datetime(2026, 10, 1, 10)  # noqa: DTZ001  # views give naive UTC
    assert (row["provider"], row["status"], row["region"]) == ("aws.bedrock", "success", "eu-west-1")


def test_a_stream_has_its_counts_and_duration_in_its_last_chunk(world: Any) -> None:
    chunks = [
        {"type": "content_block_delta", "delta": {"text": SECRET}},
        {
            "type": "message_stop",
            "amazon-bedrock-invocationMetrics": {"invocationLatency": 900, "inputTokenCount": 7, "outputTokenCount": 9},
        },
    ]
    (row,) = land(world, call(input={"inputContentType": "application/json"}, output={"outputBodyJson": chunks}))
    assert (row["input_tokens"], row["output_tokens"], row["cache_write_1h_tokens"]) == (7, 9, None)
    assert row["ended_at"] - row["started_at"] == timedelta(milliseconds=900)


def test_an_arn_says_model_and_region(world: Any) -> None:
    wanted = {
        "amazon.nova-lite-v1:0": ("amazon.nova-lite-v1:0", None),
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0": ("amazon.nova-lite-v1:0", "us-east-1"),
        "arn:aws:bedrock:us-west-2:1:inference-profile/us.anthropic.claude-haiku-4-5": (
            "us.anthropic.claude-haiku-4-5",
            "us-west-2",
        ),
        "arn:aws:bedrock:eu-north-1:1:application-inference-profile/a1b2": ("a1b2", "eu-north-1"),
    }
    rows = land(world, *(call(number, modelId=model, region=None) for number, model in enumerate(wanted)))
    found = {json.loads(row["tags"])["modelId"]: (row["model"], row["region"]) for row in rows}
    assert found == wanted


def test_the_user_is_in_the_metadata_or_the_session_of_a_role(world: Any) -> None:
    cases: list[tuple[str, dict[str, str] | None, str | None]] = [
        (f"{ROLE}/alice", None, "alice"),
        (f"{ROLE}/alice", {"user_id": "bob", "team": "red"}, "bob"),
        ("arn:aws:iam::123456789012:user/dev/carol", None, "carol"),
        (f"{ROLE}/i-0123456789abcdef0", None, None),
        (f"{ROLE}/botocore-session-1759312800", None, None),
        ("arn:aws:iam::123456789012:root", None, None),
    ]
    calls = [call(n, identity={"arn": arn}, requestMetadata=said) for n, (arn, said, _) in enumerate(cases)]
    rows = land(world, *calls)
    assert [row["user_id"] for row in rows] == [user for _, _, user in cases]
    assert [json.loads(row["tags"]).get("team") for row in rows] == [None, "red", *[None] * 4]


def test_tiers_have_our_names(world: Any) -> None:
    tiers = {"default": "standard", "priority": "priority", "flex": "flex", "reserved": "provisioned", None: None}
    calls = [call(number, serviceTier={"type": tier} if tier else None) for number, tier in enumerate(tiers)]
    profile = call(9, modelId="arn:aws:bedrock:us-east-1:1:provisioned-model/x")
    rows = land(world, *calls, profile)
    assert [row["service_tier"] for row in rows] == [*tiers.values(), "provisioned"]


def test_a_refused_call_has_no_usage_and_its_code(world: Any) -> None:
    (row,) = land(world, call(errorCode="ThrottlingException", input={}, output=None))
    assert (row["status"], row["input_tokens"], row["usage_quality"]) == ("ThrottlingException", None, "missing")


def test_no_prompt_is_kept_of_what_lands_nor_of_what_is_refused(world: Any) -> None:
    lines = [
        json.dumps(call(1, requestMetadata={"prompt": SECRET, "team": "red"})),
        json.dumps(call(2, timestamp=SECRET)),
        json.dumps(call(3, timestamp="tomorrow")),
        json.dumps(call(4))[:-1],
    ]
    world.write("log.json", "\n".join(lines))
    result = world.one("bedrock", "log.json")
    assert (result.read, result.landed, result.rejected) == (4, 1, 3)
    assert "Dear" not in str(world.rows(REQUESTS))
    rejects = world.rows(REJECTS, "line")
    assert "timestamp" in rejects[1]["raw"]
    assert [reject["reason"][:40] for reject in rejects] == [
        "started_at: a text of 26 characters is n",
        "started_at: 'tomorrow' is no time (ISO 8",
        "the line is not JSON (Expecting ',' deli",
    ]
    assert "Dear" not in str(rejects)


def test_what_is_no_invocation_stands_aside_and_is_told(world: Any) -> None:
    world.write("log.json", json.dumps(call()) + "\n" + json.dumps({"schemaType": "Other", "timestamp": "x"}) + "\n")
    result = world.one("bedrock", "log.json")
    assert (result.read, result.landed, result.aside) == (1, 1, 1)
    assert "log.json: 1 lines are no requests, and stand aside" in world.report.messages
    assert world.rejects() == []


def test_columns_of_the_source_come_before_those_of_the_preset(world: Any) -> None:
    settings = {"columns": {"team_id": "requestMetadata.team", "user_id": "accountId"}, "constants": {"provider": "us"}}
    (row,) = land(world, call(requestMetadata={"team": "red"}), **settings)
    assert (row["team_id"], row["user_id"], row["provider"]) == ("red", "123456789012", "us")
