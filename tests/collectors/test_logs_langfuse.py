"""Langfuse: calls of models only, each once, with its parts inside of input, by the newest word on it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collectors import LoadResult
from farthing.lake.schemas import REQUESTS
from tests.collectors.conftest import collector

SECRET = "Dear doctor, my knee hurts"


def seen(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "trace_id": "t1",
        "parent_observation_id": "",
        "type": "GENERATION",
        "start_time": "2026-10-01 10:00:00.250000",
        "end_time": "2026-10-01 10:00:04.000000",
        "completion_start_time": "2026-10-01 10:00:01.000000",
        "provided_model_name": "gpt-5",
        "usage_details": {"input": 100, "output": 20, "total": 120},
        "total_cost": 0.0015,
        "level": "DEFAULT",
        "environment": "production",
        "input": SECRET,
        "output": SECRET,
        "status_message": SECRET,
        "metadata": {"note": SECRET},
        "user_id": "alice",
        "session_id": "s1",
        "tags": ["beta"],
        "updated_at": "2026-10-01 10:00:05.000000",
        **more,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """In the format that the name says, as the export has it: maps are maps in Parquet, JSON text in CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        flat = [{key: json.dumps(v) if isinstance(v, dict | list) else v for key, v in row.items()} for row in rows]
        writer.writerows(flat)
        path.write_text(text.getvalue(), encoding="utf-8")
    elif path.suffix == ".parquet":
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def land(world: Any, *rows: dict[str, Any], file: str = "observations.jsonl", **settings: Any) -> LoadResult:
    write(world.folder / file, list(rows))
    result: LoadResult = world.one("langfuse", file, **settings)
    return result


def usage(world: Any, *counts: dict[str, int]) -> list[tuple[Any, ...]]:
    """Input, cached, output and reasoning tokens of calls with these counts."""
    rows = [seen(str(number), usage_details=one) for number, one in enumerate(counts)]
    assert land(world, *rows).rejected == 0, world.rejects()
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
    return [tuple(row[name] for name in names) for row in world.rows(REQUESTS, "request_id")]


def heavy(first: str, *others: str) -> list[Any]:
    """All of them, the first in every run."""
    return [first, *(pytest.param(other, marks=pytest.mark.heavy) for other in others)]


@pytest.mark.parametrize("file", heavy("o.parquet", "o.csv", "o.json", "o.jsonl"))
def test_a_call_lands_with_who_and_when_from_every_format_of_the_export(world: Any, file: str) -> None:
    result = land(world, seen("a"), seen("s", type="SPAN", usage_details=None), file=file)
    assert (result.read, result.landed, result.aside) == (1, 1, 1)
    (row,) = world.rows(REQUESTS)
    assert (row["user_id"], row["session_id"], row["trace_id"], row["environment"]) == (
        "alice",
        "s1",
        "t1",
        "production",
    )
    assert (row["model"], row["input_tokens"], row["output_tokens"]) == ("gpt-5", 100, 20)
    assert [str(row[name])[11:] for name in ("started_at", "first_token_at", "ended_at")] == [
        "10:00:00.250000", "10:00:01", "10:00:04"
    ]  # fmt: skip
    assert (row["status"], row["parent_span_id"], float(row["reported_cost"])) == ("success", None, 0.0015)
    assert "Dear" not in str(row)


def test_parts_outside_of_input_are_added_and_parts_inside_are_not(world: Any) -> None:
    parts = {"input_cached_tokens": 3000, "input_cache_creation": 1000, "output": 20, "total": 4070}
    small = {"input": 4050, "input_cached_tokens": 10, "output": 20, "total": 4070}  # it alone would fit the total
    assert usage(world, {"input": 50, **parts}, {"input": 4050, **parts}, small) == [
        (4050, 3000, 20, None), (4050, 3000, 20, None), (4050, 10, 20, None)
    ]  # fmt: skip


def test_parts_larger_than_input_stand_outside_whatever_the_total_says(world: Any) -> None:
    parts = {"input": 50, "cache_read_input_tokens": 3000, "output": 20}
    assert [row[0] for row in usage(world, {**parts, "total": 70}, parts)] == [3050, 3050]


def test_reasoning_is_inside_of_output_as_the_total_says(world: Any) -> None:
    outside = {"input": 324, "output": 495, "output_reasoning_tokens": 1364, "total": 2183}
    silent = {"input": 324, "output": 1859, "output_reasoning_tokens": 1364}
    assert [row[2] for row in usage(world, outside, {**silent, "total": 2183}, silent)] == [1859, 1859, 3223]


@pytest.mark.heavy
def test_a_convention_of_the_source_stands_above_what_totals_say(world: Any) -> None:
    counts = {"input": 4050, "input_cached_tokens": 3000, "output": 20, "total": 7070}
    land(world, seen("a", usage_details=counts), token_convention="inclusive")
    assert world.rows(REQUESTS)[0]["input_tokens"] == 4050


def test_an_embedding_has_no_output_and_other_observations_are_no_requests(world: Any) -> None:
    others = [seen(kind, type=kind) for kind in ("SPAN", "AGENT", "TOOL", "EVENT", "CHAIN")]
    embedding = seen("e", type="EMBEDDING", usage_details={"input": 8, "output": 0, "total": 8})
    result = land(world, embedding, *others)
    assert (result.read, result.landed, result.aside) == (1, 1, 5)
    (row,) = world.rows(REQUESTS)
    assert (row["input_tokens"], row["output_tokens"]) == (8, None)


def test_a_call_around_calls_has_their_sums_and_stands_aside(world: Any) -> None:
    """langfuse#14754: the trace cost exactly twice as much."""
    rows = [
        seen("outer", usage_details={"input": 300, "output": 60, "total": 360}),
        seen("step", type="SPAN", parent_observation_id="outer", usage_details=None),
        seen("one", parent_observation_id="step"),
        seen("two", parent_observation_id="outer", usage_details={"input": 200, "output": 40, "total": 240}),
        seen("other", trace_id="t2", usage_details={"input": 5, "output": 5, "total": 10}),
        seen("silent", trace_id="t2", parent_observation_id="other", usage_details=None),
    ]
    result = land(world, *rows)
    assert (result.read, result.landed, result.aside) == (4, 4, 2)
    assert {row["request_id"]: row["input_tokens"] for row in world.rows(REQUESTS)} == {
        "one": 100, "two": 200, "other": 5, "silent": None
    }  # fmt: skip


def test_of_two_rows_of_one_call_the_one_updated_later_lands_in_one_file(world: Any) -> None:
    late = seen("a", updated_at="2026-10-01 12:00:00", usage_details={"input": 7, "output": 1, "total": 8})
    result = land(world, late, seen("a"))
    assert (result.read, result.landed, result.duplicate) == (2, 1, 1)
    assert world.rows(REQUESTS)[0]["input_tokens"] == 7


@pytest.mark.heavy
def test_of_two_rows_of_one_call_the_one_updated_later_lands_across_files(world: Any) -> None:
    late = seen("a", updated_at="2026-10-01 12:00:00", usage_details={"input": 7, "output": 1, "total": 8})
    land(world, late, file="observations/1.jsonl")
    result = land(world, seen("a"), file="observations/2.jsonl")
    assert (result.landed, result.duplicate) == (0, 1)
    assert world.rows(REQUESTS)[0]["input_tokens"] == 7
    later = seen("a", updated_at="2026-10-01 13:00:00", usage_details={"input": 9, "output": 1, "total": 10})
    assert land(world, later, file="observations/3.jsonl").landed == 1
    assert world.rows(REQUESTS)[0]["input_tokens"] == 9


@pytest.mark.parametrize("suffix", heavy("jsonl", "csv", "parquet"))
def test_older_exports_find_the_user_in_their_traces(world: Any, suffix: str) -> None:
    legacy = {key: value for key, value in seen("a").items() if key not in ("user_id", "session_id")}
    write(world.folder / f"observations/1.{suffix}", [legacy, {**legacy, "id": "b", "trace_id": "t2"}])
    write(world.folder / f"traces/1.{suffix}", [{"id": "t1", "user_id": "bob", "session_id": "s", "input": SECRET}])
    (result,) = world.collect("langfuse", f"*/*.{suffix}")
    assert (result.file, result.read, result.landed) == (f"observations/1.{suffix}", 2, 2)
    assert [(row["user_id"], row["session_id"]) for row in world.rows(REQUESTS, "request_id")] == [
        ("bob", "s"), (None, None)
    ]  # fmt: skip
    (result,) = world.collect("langfuse", f"*/*.{suffix}")
    assert result.status == "unchanged"
    write(world.folder / f"traces/1.{suffix}", [{"id": "t1", "user_id": "bob"}, {"id": "t2", "user_id": "eve"}])
    world.collect("langfuse", f"*/*.{suffix}")
    assert [row["user_id"] for row in world.rows(REQUESTS, "request_id")] == ["bob", "eve"]


@pytest.mark.heavy
def test_traces_are_looked_for_around_the_time_of_their_file(world: Any) -> None:
    legacy = {key: value for key, value in seen("a").items() if key != "user_id"}
    for hour in range(10, 16):
        trace = f"t{hour}"
        write(world.folder / f"observations/{hour}.jsonl", [{**legacy, "id": trace, "trace_id": trace}])
        write(world.folder / f"traces/{hour}.jsonl", [{"id": f"t{hour + 1}", "user_id": trace}])  # an hour too early
    world.collect("langfuse", "*/*.jsonl")
    assert {row["request_id"]: row["user_id"] for row in world.rows(REQUESTS)} == {
        "t10": None, **{f"t{hour}": f"t{hour - 1}" for hour in range(11, 16)}
    }  # fmt: skip
    write(world.folder / "traces/10.jsonl", [{"id": "t11", "user_id": "bob"}])
    results = {result.file: result.status for result in world.collect("langfuse", "*/*.jsonl")}
    assert [file for file, status in results.items() if status == "landed"] == [
        "observations/10.jsonl", "observations/11.jsonl"
    ]  # fmt: skip


def gaps(world: Any, file: str) -> list[str]:
    made = world.config("langfuse", file)
    return [what for _, what, _ in collector("langfuse").gaps("one", made.sources["one"], made)]


def test_field_groups_that_the_export_lacks_are_said(world: Any) -> None:
    write(world.folder / "whole.parquet", [seen("a")])
    assert gaps(world, "whole.parquet") == []
    lost = ("usage_details", "provided_model_name", "user_id")
    write(world.folder / "part.jsonl", [{key: value for key, value in seen("a").items() if key not in lost}])
    assert gaps(world, "part.jsonl") == [
        "the export has no usage (usage_details)",
        "the export has no model (provided_model_name)",
        "the export has no trace_context (user_id)",
    ]


def test_the_first_calls_are_shown_as_they_land(world: Any) -> None:
    write(world.folder / "o.jsonl", [seen("s", type="SPAN"), seen("a")])
    made = world.config("langfuse", "o.jsonl")
    frame = collector("langfuse").preview("one", made.sources["one"], made)
    assert frame.select("request_id", "input_tokens", "user_id").rows() == [("a", 100, "alice")]
