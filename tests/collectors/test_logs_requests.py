"""The column map of request logs: several paths, prompts that never land, and what logs of gateways hold besides."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest

from farthing.errors import ConfigError
from farthing.lake.schemas import REJECTS, REQUESTS

SECRET = "Dear doctor, my knee hurts"
START = {"started_at": "2026-10-01T10:00:00Z", "model": "m"}


def write(world: Any, *rows: dict[str, Any], file: str = "in.jsonl") -> None:
    world.write(file, "".join(json.dumps(row) + "\n" for row in rows))


def land(world: Any, *rows: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    write(world, *rows)
    assert world.one("requests", "in.jsonl", **settings).rejected == 0, world.rejects()
    return list(world.rows(REQUESTS, "request_id"))


def test_of_several_paths_the_first_with_a_value_counts(world: Any) -> None:
    rows = [{**START, "id": "1", "user": {"id": "alice"}, "key": "k"}, {**START, "id": "2", "user": {}, "key": "k"}]
    columns = {"request_id": "id", "user_id": {"from": ["user.id", "key"]}}
    assert [row["user_id"] for row in land(world, *rows, columns=columns)] == ["alice", "k"]
    assert world.report.messages == []


@pytest.mark.parametrize("file", ["in.csv", pytest.param("in.parquet", marks=pytest.mark.heavy)])
def test_an_optional_column_may_be_absent_and_another_may_not(world: Any, file: str) -> None:
    if file == "in.csv":
        world.write(file, "started_at,model\n2026-10-01T10:00:00Z,m\n")
    else:
        world.parquet(file, "select timestamp '2026-10-01' as started_at, 'm' as model")
    absent = {"from": ["who", "user.id"], "optional": True}
    ended = {"from": "started_at", "plus": "latency", "optional": True}
    settings = {"timezone": "UTC", "columns": {"user_id": absent, "ended_at": ended}}
    assert world.one("requests", file, **settings).landed == 1
    assert [(row["user_id"], row["ended_at"]) for row in world.rows(REQUESTS)] == [(None, None)]
    with pytest.raises(ConfigError, match="has no 'who'"):
        world.one("requests", file, timezone="UTC", columns={"user_id": {"from": ["who", "user.id"]}})


def test_a_time_may_be_a_start_in_milliseconds_and_a_latency(world: Any) -> None:
    ended = {"from": "ts", "unit": "ms", "plus": "latency_ms"}
    columns = {"started_at": {"from": "ts", "unit": "ms"}, "ended_at": ended}
    (row,) = land(world, {"ts": 1_790_848_800_000, "latency_ms": 1500.5, "model": "m"}, columns=columns)
    assert str(row["ended_at"]) == "2026-10-01 10:00:01.500500"


def test_a_prompt_lands_as_a_hash_that_needs_the_key(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**START, "id": "1", "ask": SECRET}, {**START, "id": "2", "ask": SECRET}, {**START, "id": "3"}]
    columns = {"request_id": "id", "prompt_hash": "ask"}
    write(world, *rows)
    monkeypatch.delenv("FARTHING_HASH_KEY", raising=False)
    with pytest.raises(ConfigError, match="FARTHING_HASH_KEY is not set") as error:
        world.one("requests", "in.jsonl", columns=columns)
    assert error.value.key == "sources.one.columns.prompt_hash"
    monkeypatch.setenv("FARTHING_HASH_KEY", "a key of this company")
    landed = land(world, *rows, columns=columns)
    wanted = hmac.new(b"a key of this company", SECRET.encode(), hashlib.sha256).hexdigest()
    assert [row["prompt_hash"] for row in landed] == [wanted, wanted, None]
    assert "Dear" not in str(landed)


@pytest.mark.parametrize(
    "file", ["in.jsonl", *(pytest.param(f"in.{form}", marks=pytest.mark.heavy) for form in ("csv", "parquet"))]
)
def test_what_is_not_mapped_is_in_no_table(world: Any, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARTHING_HASH_KEY", "a key of this company")
    good, bad = ("2026-10-01T10:00:00Z", "m"), ("yesterday", "m")
    if file == "in.jsonl":
        row = {"messages": [{"content": SECRET}], "prompt": SECRET, "meta": {"team": "red", "prompt": SECRET}}
        write(world, *({"started_at": start, "model": name, **row} for start, name in (good, bad)), {"model": SECRET})
        world.write(file, (world.folder / file).read_text() + '{"prompt": "' + SECRET + "\n")
    elif file == "in.csv":
        head = "started_at,model,meta.team,meta.prompt,prompt\n"
        world.write(file, head + "".join(f'{start},{name},red,"{SECRET}",x\n' for start, name in (good, bad)) + SECRET)
    else:
        meta = f"{{'team': 'red', 'prompt': '{SECRET}'}} as meta"
        rows = [f"select '{a}' as started_at, '{b}' as model, '{SECRET}' as prompt, {meta}" for a, b in (good, bad)]
        world.parquet(file, " union all ".join(rows))
    settings = {"tags": ["meta.*"], "columns": {"prompt_hash": "prompt"}}
    result = world.one("requests", file, **settings)
    (landed,) = world.rows(REQUESTS)
    assert json.loads(landed["tags"]) == {"team": "red"}
    rejects = world.rows(REJECTS, "line")
    assert result.rejected == len(rejects) >= 1
    assert "yesterday" in rejects[0]["raw"]
    told = [{**reject, "raw": reject["raw"].replace(f'"model":"{SECRET}"', "")} for reject in rejects]
    assert "Dear" not in str([landed, *told])  # but what was mapped on purpose


@pytest.mark.parametrize("tag", ["prompt", "request.messages"])
def test_a_tag_that_is_a_text_is_refused(world: Any, tag: str) -> None:
    write(world, {**START, "prompt": SECRET})
    with pytest.raises(ConfigError, match="the text of prompts or answers, which never lands"):
        world.one("requests", "in.jsonl", tags=[tag])


def test_answers_of_a_gateways_cache_are_kept_as_such(world: Any) -> None:
    rows = [{**START, "id": str(hit), "cached": hit} for hit in (True, False)]
    landed = land(world, *rows, columns={"request_id": "id", "gateway_cache_hit": "cached"})
    assert [row["gateway_cache_hit"] for row in landed] == [False, True]


@pytest.mark.heavy
def test_the_results_of_a_batch_are_a_request_each_in_its_tier(world: Any) -> None:
    def result(number: int) -> dict[str, Any]:
        usage = {"prompt_tokens": number, "completion_tokens": 1}
        return {"custom_id": f"c{number}", "response": {"body": {"model": "gpt-5", "created": 0, "usage": usage}}}

    columns = {
        "request_id": "custom_id",
        "model": "response.body.model",
        "input_tokens": "response.body.usage.prompt_tokens",
        "output_tokens": "response.body.usage.completion_tokens",
    }
    constants = {"service_tier": "batch", "started_at": "2026-10-01T10:00:00Z"}
    settings = {"columns": columns, "constants": constants, "token_convention": "inclusive"}
    landed = land(world, result(5), result(6), result(6), **settings)
    assert [(row["request_id"], row["input_tokens"], row["service_tier"]) for row in landed] == [
        ("c5", 5, "batch"), ("c6", 6, "batch")
    ]  # fmt: skip


def test_what_openrouter_says_that_it_cost_is_kept_to_the_last_digit(world: Any) -> None:
    world.write("in.jsonl", json.dumps(START)[:-1] + ', "usage": {"cost": 0.000123456789012345678}}')
    assert world.one("requests", "in.jsonl", columns={"reported_cost": "usage.cost"}).landed == 1
    assert world.rows(REQUESTS)[0]["reported_cost"] == Decimal("0.000123456789012345678")
