"""Requests: one token convention, no invented users, times that can be; and three real logs by column maps alone."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.delivery import Delivery
from farthing import clock
from farthing.errors import ConfigError
from farthing.lake.schemas import REJECTS, REQUESTS

TOKENS = (
    "started_at,model,input_tokens,cached_input_tokens,cache_write_tokens,cache_write_1h_tokens,output_tokens,"
    "reasoning_tokens\n"
)


def tokens(world: Any, *counts: object, convention: str = "inclusive") -> dict[str, Any] | str:
    line = ",".join(str(count) if count is not None else "" for count in counts)
    world.write("in.csv", TOKENS + f"2026-10-01T10:00:00Z,m,{line}\n")
    result = world.one("requests", "in.csv", token_convention=convention)
    return dict(world.rows(REQUESTS)[0]) if result.landed else str(world.rejects()[0][1])


@pytest.mark.parametrize("column", ["input_tokens", "output_tokens", "cached_input_tokens"])
def test_tokens_without_a_convention_are_a_mistake_in_the_configuration(world: Any, column: str) -> None:
    world.write("in.csv", f"started_at,model,{column}\n2026-10-01T10:00:00Z,m,1\n")
    with pytest.raises(ConfigError, match="does input contain cached tokens") as error:
        world.one("requests", "in.csv")
    assert error.value.key == "sources.one.token_convention"
    world.write("in.csv", "started_at,model\n2026-10-01T10:00:00Z,m\n")
    assert world.one("requests", "in.csv").landed == 1


def test_exclusive_counts_are_added_up_to_inclusive_ones(world: Any) -> None:
    row = tokens(world, 50, 3000, 1000, 400, 20, 5, convention="exclusive")
    assert isinstance(row, dict)
    assert (row["input_tokens"], row["output_tokens"]) == (4050, 25)
    assert (row["cached_input_tokens"], row["cache_write_tokens"], row["reasoning_tokens"]) == (3000, 1000, 5)


def test_missing_counts_stay_missing(world: Any) -> None:
    row = tokens(world, 50, None, None, None, None, None, convention="exclusive")
    assert isinstance(row, dict)
    assert (row["input_tokens"], row["output_tokens"], row["cached_input_tokens"]) == (50, None, None)
    row = tokens(world, None, None, None, None, None, None)
    assert isinstance(row, dict)
    assert (row["input_tokens"], row["usage_quality"]) == (None, "missing")


@pytest.mark.parametrize(
    "counts",
    [
        (50, 40, 11, None, 1, None),
        (50, 51, None, None, 1, None),
        (50, None, 10, 11, 1, None),
        (50, None, None, None, 1, 2),
    ],
)
def test_parts_larger_than_their_whole_are_refused_as_the_wrong_convention(world: Any, counts: tuple[int]) -> None:
    reason = tokens(world, *counts)
    assert isinstance(reason, str)
    assert "nearly always the wrong token_convention" in reason


@pytest.mark.parametrize(
    ("text", "count"),
    [("63", 63), ("63.0", 63), ("1e3", 1000), ("+7", 7), ("63.7", None), ("1_0", None), ("9e20", None)],
)
def test_a_count_is_a_whole_number_however_it_is_written(world: Any, text: str, count: int | None) -> None:
    row = tokens(world, text, None, None, None, None, None)
    assert (row["input_tokens"] if isinstance(row, dict) else None) == count


def test_usage_quality_is_reported_estimated_or_missing(world: Any) -> None:
    ends = ["A,5,,", "B,,2.5,", "C,,,", "D,5,,estimated", "E,5,,guessed"]
    lines = "".join(f"{end[0]},2026-10-01T10:00:00Z,m{end[1:]}\n" for end in ends)
    world.write("in.csv", "request_id,started_at,model,input_tokens,work_units,usage_quality\n" + lines)
    world.one("requests", "in.csv", token_convention="inclusive")
    assert {row["request_id"]: row["usage_quality"] for row in world.rows(REQUESTS)} == {
        "A": "reported", "B": "reported", "C": "missing", "D": "estimated"
    }  # fmt: skip
    assert "usage_quality is guessed" in world.rejects()[0][1]


@pytest.mark.parametrize(
    ("first", "end", "reason"),
    [
        ("09:59:59", "10:00:05", "first_token_at 2026-10-01 09:59:59 is before started_at"),
        ("10:00:06", "10:00:05", "ended_at 2026-10-01 10:00:05 is before first_token_at"),
        ("10:00:00", "10:00:00", ""),
        ("10:00:09", "", ""),
    ],
)
def test_the_first_token_lies_inside_the_request(world: Any, first: str, end: str, reason: str) -> None:
    ended = f"2026-10-01T{end}Z" if end else ""
    world.write(
        "in.csv", f"started_at,first_token_at,ended_at,model\n2026-10-01T10:00:00Z,2026-10-01T{first}Z,{ended},m\n"
    )
    assert world.one("requests", "in.csv").rejected == bool(reason)
    assert not reason or reason in world.rejects()[0][1]


def test_a_request_of_the_future_is_refused_beyond_five_minutes_of_skew(world: Any) -> None:
    now = datetime(2026, 10, 1, 10, tzinfo=UTC)
    times = [now + timedelta(minutes=4), now + timedelta(minutes=6)]
    world.write("in.csv", "started_at,model\n" + "".join(f"{time.isoformat()},m\n" for time in times))
    with clock.fixed(now):
        result = world.one("requests", "in.csv")
    assert (result.landed, result.rejected) == (1, 1)
    assert "is in the future" in world.rejects()[0][1]


def test_no_user_is_null_and_an_empty_one_too(world: Any) -> None:
    world.write("in.csv", "started_at,model,user_id\n2026-10-01T10:00:00Z,m,\n2026-10-01T10:00:00Z,m,  \n")
    world.one("requests", "in.csv")
    assert [row["user_id"] for row in world.rows(REQUESTS)] == [None, None]


def test_the_azure_coding_trace_lands_by_its_column_map(world: Any, shared: Path) -> None:
    file = shared / "requests" / "azure_llm_2023_code.csv.gz"
    result = world.one(
        "requests",
        str(file),
        columns={"started_at": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
        constants={"provider": "azure", "model": "code"},
        token_convention="inclusive",
        timezone="UTC",
    )
    with gzip.open(file, "rt") as lines:
        theirs = list(csv.DictReader(lines))
    assert (result.read, result.landed) == (len(theirs), len(theirs))
    rows = world.rows(REQUESTS)
    assert Counter((str(row["started_at"]), row["input_tokens"], row["output_tokens"]) for row in rows) == Counter(
        (row["TIMESTAMP"][:26], int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in theirs
    )
    assert {(row["user_id"], row["ended_at"], row["usage_quality"]) for row in rows} == {(None, None, "reported")}
    assert len({row["request_id"] for row in rows}) == len(rows)


@pytest.mark.slow
def test_the_mooncake_chat_trace_lands_on_its_relative_clock(world: Any, shared: Path) -> None:
    file = shared / "requests" / "mooncake_conversation.jsonl.gz"
    result = world.one(
        "requests",
        str(file),
        columns={
            "started_at": {"from": "timestamp", "unit": "ms"},
            "input_tokens": "input_length",
            "output_tokens": "output_length",
        },
        constants={"provider": "vllm", "model": "kimi"},
        token_convention="inclusive",
        epoch="2026-10-01T00:00:00Z",
    )
    with gzip.open(file, "rt") as lines:
        theirs = [json.loads(line) for line in lines]
    assert (result.read, result.landed) == (len(theirs), len(theirs))
    start = datetime(2026, 10, 1)  # noqa: DTZ001  # views give naive UTC
    assert Counter(
        ((row["started_at"] - start) / timedelta(milliseconds=1), row["input_tokens"], row["output_tokens"])
        for row in world.rows(REQUESTS)
    ) == Counter((row["timestamp"], row["input_length"], row["output_length"]) for row in theirs)


@pytest.mark.slow
def test_the_alibaba_image_trace_lands_with_its_users_and_its_pending_rows_are_shown(world: Any, shared: Path) -> None:
    file = shared / "requests" / "alibaba_gentd26_lora_requests.csv.gz"
    result = world.one(
        "requests",
        str(file),
        columns={
            "started_at": "gmt_create",
            "ended_at": {"from": "gmt_create", "plus": "exec_time_seconds", "plus_unit": "s"},
            "user_id": "groupId",
            "model": "checkpoint_model_version_id",
            "status": "predict_status",
            "work_units": "num_images_per_prompt",
        },
        constants={"provider": "own", "work_unit": "images"},
        tags=["predict_type", "num_inference_steps"],
        timezone="Asia/Shanghai",
    )
    with gzip.open(file, "rt") as lines:
        theirs = list(csv.DictReader(lines))
    without_model = [row for row in theirs if not row["checkpoint_model_version_id"]]
    assert (result.read, result.rejected) == (len(theirs), len(without_model))
    assert {row["reason"] for row in world.rows(REJECTS)} == {"model is missing"}
    rows = world.rows(REQUESTS)
    assert Counter(row["user_id"] for row in rows) == Counter(
        row["groupId"] for row in theirs if row["checkpoint_model_version_id"]
    )
    assert sum((row["ended_at"] - row["started_at"]).total_seconds() for row in rows if row["ended_at"]) == sum(
        float(row["exec_time_seconds"] or 0) for row in theirs if row["checkpoint_model_version_id"]
    )
    first = min(rows, key=lambda row: row["started_at"])
    assert json.loads(first["tags"]).keys() <= {"predict_type", "num_inference_steps"}
    assert {row["status"] for row in rows} > {"SUCCEED", "FAILED"}


def test_latencies_stamped_at_the_end_become_requests_with_a_start(world: Any, shared: Path) -> None:
    file = shared / "gpu" / "gentd26_inference_latency_ms.csv.gz"
    result = world.one(
        "requests",
        str(file),
        columns={
            "replica_id": "container_ip",
            "started_at": {"from": "ts", "minus": "value", "plus_unit": "ms"},
            "ended_at": "ts",
        },
        constants={"provider": "own", "model": "diffusion"},
        timezone="UTC",
    )
    with gzip.open(file, "rt") as lines:
        theirs = list(csv.DictReader(lines))
    assert (result.read, result.landed) == (22351, 22351)
    ours = Counter(
        (
            row["replica_id"],
            str(row["ended_at"]),
            round((row["ended_at"] - row["started_at"]).total_seconds() * 1000, 2),
        )
        for row in world.rows(REQUESTS)
    )
    assert ours == Counter((row["container_ip"], row["ts"], round(float(row["value"]), 2)) for row in theirs)


MANY = {"request_id": "id", "started_at": "began", "model": "model", "input_tokens": "tokens", "session_id": "session"}


def _log(world: Any, *rows: tuple[object, ...]) -> Path:
    values = ", ".join(f"('{name}', timestamptz '{at}+00', {tokens}, null::varchar)" for name, at, tokens in rows)
    return Path(
        world.parquet(
            "log.parquet",
            f"select id, began, 'm' as model, tokens, session from (values {values}) v(id, began, tokens, session)",
        )
    )


def _one(world: Any) -> Any:
    return world.one("requests", "log.parquet", columns=MANY, token_convention="inclusive")


def test_parquet_of_several_days_lands_as_a_file_for_each_and_the_last_of_a_key_wins(world: Any) -> None:
    _log(
        world,
        ("a", "2026-10-01 23:59:59", 1),
        ("b", "2026-10-02 00:00:01", 2),
        ("c", "2026-10-01 23:00:00", -1),
        ("a", "2026-10-02 00:00:02", 3),
        ("d", "2026-10-01 12:00:00", 4),
        ("b", "2026-10-02 00:00:01", 5),
    )
    result = _one(world)
    assert (result.read, result.landed, result.duplicate, result.rejected) == (6, 3, 2, 1)
    rows = world.query(
        REQUESTS, "select request_id, day::varchar as day, input_tokens, tool from lake.requests order by 1"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("a", "2026-10-02", 3, None),
        ("b", "2026-10-02", 5, None),
        ("d", "2026-10-01", 4, None),
    ]
    files = world.lake.files(REQUESTS)
    assert [(str(file.partition["day"]), file.rows) for file in files] == [("2026-10-01", 1), ("2026-10-02", 2)]
    assert {file.nulls["tool"] for file in files} == {1, 2}
    _log(world, ("d", "2026-10-01 12:00:00", 6), ("e", "2026-10-03 12:00:00", 7))
    assert _one(world).landed == 2
    assert {row["request_id"]: row["input_tokens"] for row in world.rows(REQUESTS)} == {"d": 6, "e": 7}


def test_a_request_of_parquet_that_comes_again_keeps_its_day(world: Any) -> None:
    _log(world, ("a", "2026-10-01 23:59:59", 1))
    _one(world)
    _log(world, ("a", "2026-10-02 00:00:01", 2), ("b", "2026-10-02 00:00:01", 3))
    assert _one(world).landed == 2
    rows = world.query(REQUESTS, "select request_id, day::varchar as day, input_tokens from lake.requests order by 1")
    assert [tuple(row.values()) for row in rows] == [("a", "2026-10-01", 2), ("b", "2026-10-02", 3)]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["_drop_repeated", "_commit_rejects"])
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("landed_before", [False, True])
def test_parquet_that_changes_while_it_is_read_does_not_land_and_lands_when_it_stays(
    world: Any, monkeypatch: pytest.MonkeyPatch, step: str, gone: bool, landed_before: bool
) -> None:
    if landed_before:
        _log(world, ("old", "2026-09-30 12:00:00", 1))
        _one(world)
    path = _log(world, ("a", "2026-10-01 12:00:00", 1))
    whole = getattr(Delivery, step)

    def meddled(self: Delivery, **given: Any) -> None:
        path.unlink()
        if not gone:
            _log(world, ("a", "2026-10-01 12:00:00", 1), ("b", "2026-10-01 12:00:01", 2))
        whole(self, **given)

    with monkeypatch.context() as patch:
        patch.setattr(Delivery, step, meddled)
        result = _one(world)
    assert result.status == "failed"
    assert "changed while it was read" in result.problem
    assert "a" not in {row["request_id"] for row in (world.rows(REQUESTS) if landed_before else [])}
    _log(world, ("a", "2026-10-01 12:00:00", 1), ("b", "2026-10-01 12:00:01", 2))
    assert _one(world).landed == 2
    assert [row["request_id"] for row in world.rows(REQUESTS, "request_id")] == ["a", "b"]
