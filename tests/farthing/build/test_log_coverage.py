"""How much of what vLLM's own counters say the request log has."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from farthing.lake import Lake
from farthing.lake.schemas import VENDOR_USAGE
from tests.farthing.build.world import GPU_POOL, World, at, published


@pytest.mark.heavy
def test_data_quality_says_which_share_of_vllms_own_tokens_the_log_has(tmp_path: Path) -> None:
    """What another vendor counts is no part of it, nor is the log of its requests."""
    world = World(GPU_POOL, attribution={"cell_seconds": 60, "law_minimum_requests": 10_000})
    world.charge(1)
    world.gpu()
    tokens: dict[str, Any] = {"input_tokens": 600, "output_tokens": 200}
    world.request(at("10:00"), at("10:10"), model="Llama", provider="vllm", **tokens)
    world.request(at("10:00"), at("10:10"), model="llama", provider="together", **tokens)
    lake = Lake(world.config(tmp_path).lake_path)
    world.land(lake)
    told = {"day": at().date(), "started_at": at("10:00"), "ended_at": at("10:00") + timedelta(hours=1)}
    counted = [
        {**told, "provider": "vllm", "model": "llama", "input_tokens": 1000, "output_tokens": 600},
        {**told, "provider": "vllm", "model": "qwen", "input_tokens": 400, "output_tokens": None},
        {**told, "provider": "together", "model": "llama", "input_tokens": 5000, "output_tokens": 5000},
    ]
    lake.append(VENDOR_USAGE, pl.DataFrame(counted), load="totals")
    with published(world.build(tmp_path)) as con:
        found = con.execute(
            "select measure, unit, matched, total, matched_share from data_quality where subject = 'tokens'"
        ).fetchall()
    assert found == [("counted by vLLM and in the request log", "count", 800, 2000, 0.4)]
