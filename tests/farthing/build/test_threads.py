"""What other tools were found to count wrongly, with their threads' numbers: from a log's own words to a cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.lake.schemas import REQUESTS
from tests.collectors.conftest import World as Folder
from tests.collectors.test_litellm import lines, payload
from tests.collectors.test_logs_langfuse import seen
from tests.collectors.traces import CALL, line, span
from tests.farthing.build.test_model_prices import costs, priced, world


@pytest.fixture(autouse=True)
def later_than_every_log() -> Iterator[None]:
    with clock.fixed(datetime(2026, 12, 24, tzinfo=UTC)):
        yield


def logged(folder: Path, kind: str, row: dict[str, Any], price: dict[str, str], **settings: str) -> Any:
    """What the line of a log lands as, and what it costs at `price` for a million tokens."""
    there = Folder(folder)
    there.write("log.jsonl", lines(row))
    assert {one.rejected for one in there.collect(kind, "log.jsonl", **settings)} == {0}, there.rejects()
    [landed] = there.rows(REQUESTS)
    one = world(prices=[{"model": landed["response_model"] or landed["model"], **price}])
    times = {name: value.replace(tzinfo=UTC) for name, value in landed.items() if isinstance(value, datetime)}
    one.rows["requests"].append(landed | times)
    [cost] = priced(one)
    return landed, cost


def gateway(folder: Path, tokens: tuple[int, int], usage: dict[str, Any], **price: str) -> Decimal:
    """What a call costs that LiteLLM logged with this usage."""
    row = payload(metadata__usage_object=usage, prompt_tokens=tokens[0], completion_tokens=tokens[1])
    return Decimal(logged(folder, "litellm", row, price)[1])


def test_cached_tokens_of_gemini_are_charged_once(tmp_path: Path) -> None:
    """litellm#14849: 0.7642 was shown, 0.1849 was due; #6215 and #14874 are the same of OpenAI and xAI."""
    usage = {"prompt_tokens_details": {"text_tokens": 262_960, "cached_tokens": 257_955}}
    cost = gateway(tmp_path, (262_960, 1744), usage, input="1.25", cached_input="0.625", output="10")
    assert round(cost, 4) == Decimal("0.1849")


def test_cache_reads_that_only_the_older_field_knows_are_no_fresh_input(tmp_path: Path) -> None:
    """litellm#11789: of an Anthropic stream 0.002059 was shown, seven times the 0.000292 that were due."""
    usage = {"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 2455}
    cost = gateway(tmp_path, (2459, 23), usage, input="0.8", cached_input="0.08", output="4")
    assert round(cost, 6) == Decimal("0.000292")


def test_what_is_written_to_the_cache_is_no_input_besides(tmp_path: Path) -> None:
    """litellm#9812: 0.091311 was shown, 0.0544 was on the bill."""
    usage = {"prompt_tokens_details": {"cached_tokens": 0, "cache_creation_tokens": 12_304}}
    cost = gateway(tmp_path, (12_307, 550), usage, input="3", cache_write="3.75", output="15")
    assert cost == Decimal("0.054399")


def test_tokens_of_images_that_were_cached_are_charged_once(tmp_path: Path) -> None:
    """litellm PR#37407 (72 % too much) and #37281, whose numbers these are: 80 of images, 90 cached, of 100."""
    usage = {"prompt_tokens_details": {"cached_tokens": 90, "image_tokens": 80}}
    cost = gateway(tmp_path, (100, 10), usage, input="1", cached_input="0.1", output="2")
    assert cost == Decimal("0.000039")


@pytest.mark.parametrize(("total", "settings"), [(18_003, {}), (35_820, {"token_convention": "inclusive"})])
def test_cached_input_that_a_sender_left_inside_of_input_is_not_added_to_it(
    tmp_path: Path, total: int, settings: dict[str, str]
) -> None:
    """langfuse#10592: 17,903 of input with 17,817 cached were shown as 35,720; #12306 likewise.

    Where Langfuse added up the total itself, only the settings can tell.
    """
    usage = {"input": 17_903, "input_cached_tokens": 17_817, "output": 100, "total": total}
    row = seen("a", usage_details=usage)
    price = {"input": "1", "cached_input": "0.1", "output": "0"}
    landed, cost = logged(tmp_path, "langfuse", row, price, **settings)
    assert (landed["input_tokens"], cost) == (17_903, Decimal("0.0018677"))


def test_input_of_a_trace_has_its_cached_parts_inside_also_for_anthropic(tmp_path: Path) -> None:
    """langfuse#12306: 130,213 of input, all but 5 of it read from or written to a cache, were shown as 260,421."""
    usage = {"input_tokens": 130_213, "cache_read_tokens": 128_955, "cache_write_tokens": 1253, "output_tokens": 0}
    told = {**CALL, "gen_ai.request.model": "claude", "gen_ai.provider.name": "anthropic"}
    row = json.loads(line([span(1, told | {f"gen_ai.usage.{name}": count for name, count in usage.items()})]))
    price = {"input": "10", "cached_input": "1", "cache_write": "12.5", "output": "50"}
    landed, cost = logged(tmp_path, "otel", row, price)
    assert landed["input_tokens"] == 130_213
    assert cost == Decimal("0.00005") + Decimal("0.128955") + Decimal("0.0156625")


def test_a_model_is_priced_as_itself_and_not_as_its_faster_variant() -> None:
    """helicone#4893: grok-3-mini (0.30) was shown at the price of grok-3-mini-fast (0.60)."""
    calls = [{"model": f"grok-3-mini{variant}", "provider": "x-ai"} for variant in ("", "-fast")]
    assert costs(*calls) == [Decimal("0.3"), Decimal("0.6")]
