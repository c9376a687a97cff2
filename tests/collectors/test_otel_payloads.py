"""What real instrumentations write of calls whose tokens are known: tests/payloads/otel.py makes these files again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.lake.schemas import REJECTS, REQUESTS, SPANS

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "otel"
NAMES = (
    "operation",
    "status",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "service_tier",
)


def collected(world: Any, library: str) -> list[dict[str, Any]]:
    shutil.copy(FIXTURES / f"{library}.binpb", world.folder / "in.binpb")
    with clock.fixed(datetime(2027, 1, 1, tzinfo=UTC)):
        results = world.collect("otel", "in.binpb")
    assert [result.rejected for result in results] == [0, 0], world.rows(REJECTS)
    spans = world.rows(SPANS)
    assert [row["user_id"] for row in spans if row["name"] == "POST /chat"] == ["ann"]
    assert len({row["trace_id"] for row in spans}) == 1
    assert not [path for path in Path(world.lake.path).rglob("*.parquet") if b"grandmother" in path.read_bytes()]
    return list(world.rows(REQUESTS, "started_at, span_id"))


@pytest.mark.heavy
def test_the_official_instrumentation_has_tokens_and_tier_and_no_more(world: Any) -> None:
    rows = collected(world, "official")
    assert [tuple(row[name] for name in NAMES) for row in rows] == [
        ("chat", "ok", 2006, None, 300, None, "standard"),
        ("chat", "ok", 2006, None, 300, None, "standard"),  # a stream with include_usage
        ("chat", None, None, None, None, None, "standard"),  # one without
        ("chat", None, None, None, None, None, "standard"),  # one that was aborted: nothing tells
        ("chat", "error", None, None, None, None, None),  # 429
    ]
    assert [row["usage_quality"] for row in rows] == ["reported"] * 2 + ["missing"] * 3


def test_openllmetry_has_cached_tokens_and_loses_reasoning_and_tier_of_streams(world: Any) -> None:
    rows = [row for row in collected(world, "openllmetry") if row["provider"] == "openai"]
    assert [tuple(row[name] for name in NAMES) for row in rows] == [
        ("chat", "ok", 2006, 1920, 300, 192, "standard"),
        ("chat", "ok", 2006, 1920, 300, None, None),
        ("chat", "ok", None, None, None, None, None),
        ("chat", "ok", None, None, None, None, None),  # aborted, and called ok when nobody holds it any more
        ("chat", "error", None, None, None, None, None),
    ]
    streams = [row for row in rows if row["first_token_at"] is not None]
    assert len(streams) == 3
    assert all(row["started_at"] < row["first_token_at"] < row["ended_at"] for row in streams)


@pytest.mark.heavy
def test_two_layers_around_one_call_are_two_rows_with_one_id_of_the_response(world: Any) -> None:
    """Each layer may know what the other does not. They are no parent and child: only the id says that they are one."""
    rows = [row for row in collected(world, "openllmetry") if row["provider"] == "anthropic"]
    assert [row["provider_request_id"] for row in rows] == ["msg_1", "msg_1"]
    counts = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens")
    assert [tuple(row[name] for name in counts) for row in rows] == [(4050, 3000, 1000, 20)] * 2
    assert len({row["parent_span_id"] for row in rows}) == 1
