"""vLLM's own counters as totals by hour, server and model: growth, not levels, and a restart loses nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from farthing.lake.schemas import VENDOR_USAGE
from tests.collectors.test_prometheus import BEGIN, collect, every, served, up

SERVER = {"model_name": "llama", "engine": "0", "job": "vllm", "instance": "10.0.0.1:8000", "pod": "llama-0"}
PROMPT, GENERATED, DONE = "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total"


def landed(world: Any) -> list[tuple[Any, ...]]:
    return [
        ((row["started_at"] - BEGIN.replace(tzinfo=None)) // timedelta(hours=1), row["sub_account_id"], row["model"],
         row["input_tokens"], row["output_tokens"], row["requests"])
        for row in world.rows(VENDOR_USAGE, "started_at, sub_account_id, model")
    ]  # fmt: skip


@pytest.mark.slow
def test_a_counter_is_what_it_grew_by_in_each_hour_over_restarts_and_scrapes_that_failed(world: Any) -> None:
    def prompt(second: float) -> float:
        return 5000 + second if second <= 5400 else second - 5400  # a new process counts from 0

    other = {**SERVER, "model_name": "qwen", "instance": "10.0.0.2:8000", "pod": "qwen-0"}
    done = every(15, lambda second: second // 100, end=3600)
    told = [
        up(SERVER, end=10800),
        (PROMPT, SERVER, {**every(15, prompt, end=1800), **every(15, prompt, 2700, 10800)}),
        (GENERATED, SERVER, every(15, lambda second: 2 * second, end=7200)),
        *((DONE, {**SERVER, "finished_reason": reason}, done) for reason in "ab"),
        (PROMPT, other, every(15, lambda second: second, 3600, 7200)),
    ]  # fmt: skip
    with served(world.folder, told) as endpoint:
        collect(world, endpoint, kind="vllm_totals")
    assert landed(world) == [
        (0, "llama-0", "llama", 3585, 7170, 72),
        (1, "llama-0", "llama", 3600 - 15 + 15, 7200, None),
        (1, "qwen-0", "qwen", 3585, None, None),
        (2, "llama-0", "llama", 3600, None, None),
    ]
    assert {(row["provider"], row["operation"]) for row in world.rows(VENDOR_USAGE)} == {("vllm", "counters")}


@pytest.mark.heavy
def test_a_counter_that_cannot_be_is_rejected(world: Any) -> None:
    with served(world.folder, [up(SERVER), (PROMPT, SERVER, {15: 1, 30: -5, 45: 1e18, 60: 11})]) as endpoint:
        result = collect(world, endpoint, kind="vllm_totals")[0]
    assert (result.read, result.landed, result.rejected) == (3, 1, 2)
    assert landed(world) == [(0, "llama-0", "llama", 10, None, None)]
