"""One day as a gateway, the clients and the servers logged it, through the commands: each call once, to the cent.

The files come in pieces, out of order and some of them twice; most spans of the clients are a day late.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from tests.collectors.test_litellm import lines, payload
from tests.collectors.traces import BEGIN, CALL, attributes, line, nanoseconds
from tests.farthing.commands import farthing
from tests.worlds import write_csv

pytestmark = pytest.mark.heavy

SECRET = "my grandmother's recipe"
TOML = """
[sources.bills]
kind = "focus"
path = "bill.csv"
[sources.gpus]
kind = "gpu_usage"
path = "gpus.csv"
[sources.inventory]
kind = "gpu_inventory"
path = "inventory.csv"
[sources.gateway]
kind = "litellm"
path = "gateway/*"
[sources.app]
kind = "otel"
path = "app/*"
[sources.servers]
kind = "vllm"
path = "servers/*"
constants = { model = "llama" }
[[pools]]
name = "serving"
kind = "gpu"
match = { ResourceId = "i-1" }
[[pools]]
name = "llm"
kind = "api"
match = { ProviderName = "OpenAI" }
"""
HOUR = 3600
#: What the servers were busy with, in seconds after 10:00: the only calls there are at that time.
SERVED = {
    "plain": (0, 1800),  # ann
    "streamed": (HOUR, HOUR + 720),  # ann
    "text": (2 * HOUR, 2 * HOUR + 360),  # bob
    "aborted": (3 * HOUR, 3 * HOUR + 360),  # bob
    "step": (4 * HOUR, 4 * HOUR + 720),  # cat's agent
}


def logged(call: str, start: float, end: float, tokens: tuple[int, int], **more: Any) -> dict[str, Any]:
    """A call as the gateway logs it, which knows the application's key and not its users."""
    own = call in SERVED
    usage = {"prompt_tokens_details": {"cached_tokens": tokens[0] // 4}} if own else {}
    begin = BEGIN.timestamp()
    values = {
        "metadata__user_api_key_user_id": "app",
        "metadata__usage_object": usage,
        "startTime": begin + start,
        "completionStartTime": begin + (start + end) / 2,
        "endTime": begin + end,
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "messages": [{"role": "user", "content": SECRET}],
    }
    if own:
        values |= {"custom_llm_provider": "hosted_vllm", "model": "hosted_vllm/llama", "model_group": "llama"}
        values |= {"model_id": "3f9a", "response": {"model": "llama"}}
    return payload(call, **{**values, **more})


def asked(number: int, start: float, end: float, more: Mapping[str, Any], parent: int | None = None) -> dict[str, Any]:
    """A span of the application."""
    told = {**CALL, "gen_ai.prompt.0.content": SECRET, **more}
    return made(number, start, end, {key: value for key, value in told.items() if value is not None}, parent)


def made(number: int, start: float, end: float, values: Mapping[str, Any], parent: int | None = None) -> dict[str, Any]:
    return {
        "traceId": f"{number // 10 + 1:032x}",  # ten spans make a trace
        "spanId": f"{number:016x}",
        "parentSpanId": "" if parent is None else f"{parent:016x}",
        "name": "a span",
        "kind": 3,
        "startTimeUnixNano": nanoseconds(start),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes(values),
        "status": {},
    }


def used(call: str, tokens: tuple[int, int], **more: Any) -> dict[str, Any]:
    return {
        "gen_ai.response.id": f"chatcmpl-{call}",
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        **more,
    }


def answered(
    call: str, number: int, tokens: tuple[int, int], parent: int | None = None, *, id: str | None = None
) -> dict[str, Any]:
    """A span of the server, which names nobody."""
    start, end = SERVED[call]
    values = {
        "gen_ai.request.id": id or f"chatcmpl-{call}",
        "gen_ai.usage.prompt_tokens": tokens[0],
        "gen_ai.usage.completion_tokens": tokens[1],
        "gen_ai.latency.time_in_queue": 0.25,
        "gen_ai.latency.time_to_first_token": 60.0,
    }
    return {**made(number, start + 0.01, end, values, parent), "name": "llm_request", "kind": 2}


def write(folder: Path) -> None:
    """What is there on the next morning: bills, telemetry, the servers' spans, half of the gateway's log."""
    (folder / "farthing.toml").write_text(TOML)
    for name in ("gateway", "app", "servers"):
        (folder / name).mkdir()
    day, month = BEGIN.replace(hour=0), ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    columns = (
        *("ProviderName", "ServiceCategory", "ServiceName", "ResourceId", "ChargeCategory", "BillingCurrency"),
        *("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd", "BilledCost"),
        "EffectiveCost",
    )
    period = (*month, day.isoformat(), (day + timedelta(days=1)).isoformat())
    rows = [
        ("AWS", "Compute", "EC2", "i-1", "Usage", "USD", *period, 24, 24),
        ("OpenAI", "AI and Machine Learning", "API", "", "Usage", "USD", *period, 11, 11),
    ]
    write_csv(folder / "bill.csv", columns, [dict(zip(columns, row, strict=True)) for row in rows])
    edges = sorted({-10 * HOUR, 14 * HOUR, *(edge for edges in SERVED.values() for edge in edges)})
    watched = []
    for start, end in itertools.pairwise(edges):
        times = [(BEGIN + timedelta(seconds=edge)).isoformat() for edge in (start, end)]
        busy = end - start if (start, end) in SERVED.values() else 0
        watched.append(dict(zip(USAGE, ("GPU-0", *times, end - start, busy), strict=True)))
    write_csv(folder / "gpus.csv", USAGE, watched)
    placed = {"gpu_uuid": "GPU-0", "ResourceId": "i-1", "replica_id": "vllm-0", "valid_from": "2026-01-01T00:00:00Z"}
    write_csv(folder / "inventory.csv", tuple(placed), [placed])
    (folder / "gateway" / "a.jsonl").write_text(lines(*reversed(gateway()[:6])))
    (folder / "app" / "a.jsonl").write_text(clients(1))
    (folder / "servers" / "a.jsonl").write_text(servers())


USAGE = ("gpu_uuid", "started_at", "ended_at", "covered_seconds", "busy_seconds")


def gateway() -> list[dict[str, Any]]:
    """Ten lines of the gateway; an attempt that failed is one of them."""
    retry, kept = (1_000_000, 25_000), "chatcmpl-retry"
    refused = {"status": "failure", "id": "refused", "response_cost": 0, "response": None}
    hung_up = {"stream": True, "error_information": {"error_code": "499"}}
    return [
        logged("plain", 0.005, 1800.01, (120, 30)),
        logged("streamed", HOUR + 0.005, HOUR + 720.01, (1000, 200), stream=True),
        logged("text", 2 * HOUR, 2 * HOUR + 360.01, (50, 10), id="cmpl-text", metadata__user_api_key_user_id="bob"),
        logged("aborted", 3 * HOUR + 0.005, 3 * HOUR + 300, (8, 5), **hung_up),
        logged("vendor", 5 * HOUR, 5 * HOUR + 30, (2_000_000, 50_000)),
        logged("refused", 6 * HOUR, 6 * HOUR + 0.2, (0, 0), error_information={"error_code": "429"}, **refused),
        logged("retry", 6 * HOUR + 2, 6 * HOUR + 10, retry),
        logged("step", 4 * HOUR + 0.005, 4 * HOUR + 720.01, (700, 70)),
        logged("step 2", 4 * HOUR + 800, 4 * HOUR + 830, (400_000, 50_000)),
        logged("hit", 6 * HOUR + 1200.1, 6 * HOUR + 1200.2, retry, cache_hit=True, id=f"{kept}_cache_hit1790000.5"),
    ]


def servers() -> str:
    """Five spans of one server, whose callers pass on their trace or not."""
    spans = [
        answered("plain", 101, (120, 30)),
        answered("streamed", 12, (1000, 200), parent=11),
        answered("text", 102, (50, 10), id="cmpl-text-0"),
        answered("aborted", 22, (2006, 300), parent=21),
        answered("step", 33, (700, 70), parent=31),
    ]
    return line(reversed(spans), {"service.instance.id": "vllm-0"}, scope="vllm.llm_engine")


def clients(first: int = 9) -> str:
    """So many spans: eight calls, some without tokens, one without an answer; an agent's has the sums of two."""
    retry = (1_000_000, 25_000)
    ann, bob = {"user.id": "ann"}, {"user.id": "bob"}
    cat = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "user.id": "cat"}
    step = 4 * HOUR
    spans = [
        asked(1, 0, 1800.02, used("plain", (120, 30), **ann)),
        asked(11, HOUR, HOUR + 720.02, {"gen_ai.response.id": "chatcmpl-streamed", **ann}),
        asked(21, 3 * HOUR, 3 * HOUR + 300, bob),
        asked(30, step, step + 900, used("none", (400_700, 50_070), **{"gen_ai.response.id": None, **cat})),
        asked(31, step, step + 720.02, used("step", (700, 70)), parent=30),
        asked(32, step + 800, step + 831, used("step 2", (400_000, 50_000)), parent=30),
        asked(41, 5 * HOUR, 5 * HOUR + 31, used("vendor", (2_000_000, 50_000), **{"user.id": "dan"})),
        asked(51, 6 * HOUR, 6 * HOUR + 10.1, used("retry", retry, **bob)),
        asked(61, 6 * HOUR + 1200, 6 * HOUR + 1200.3, used("retry", retry, **ann)),
    ]
    return line(reversed(spans[:first]))


def run(folder: Path) -> list[dict[str, Any]]:
    """Collect and build; what came of each file."""
    said = farthing("collect", "--project", folder, "--json")
    assert said.code == 0, said.err
    built = farthing("build", "--project", folder)
    assert built.code == 0, built.err
    return list(said.value)


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    said = farthing("query", query, "--project", folder, "--json")
    assert said.code == 0, said.err
    return [tuple(row.values()) for row in said.value]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after all of the day is there; what landed was counted on the way."""
    folder = tmp_path_factory.mktemp("mixed")
    write(folder)
    with clock.fixed(BEGIN + timedelta(days=1)):
        run(folder)
    again = [gateway()[4], gateway()[0]]
    (folder / "gateway" / "b.json").write_text(json.dumps([*gateway()[6:], *again]))
    (folder / "app" / "late.jsonl").write_text(clients())
    (folder / "servers" / "again.jsonl").write_text("\n" + servers())
    with clock.fixed(BEGIN + timedelta(days=2)):
        run(folder)
    return folder


def test_every_line_landed_once(day: Path) -> None:
    found = ask(day, "select x_source, count(*) from requests group by all order by 1")
    assert found == [("app", 8), ("gateway", 10), ("servers", 5)]
    assert ask(day, "select sum(read), sum(landed + duplicate + rejected), sum(rejected) from loads") == [
        (sum(value for (value,) in ask(day, "select read from loads")),) * 2 + (0,)
    ]


def test_every_call_counts_once_with_its_user_and_its_tokens(day: Path) -> None:
    asked = (
        "select user_id, sum(requests), sum(requests_without_usage), sum(input_tokens), sum(output_tokens)"
        " from usage_days group by all order by 1"
    )
    assert ask(day, asked) == [
        ("ann", 3, 0, 120 + 1000 + 1_000_000, 30 + 200 + 25_000),  # the last from the gateway's cache
        ("app", 1, 1, None, None),  # the attempt that was refused: only the gateway saw it
        ("bob", 3, 0, 50 + 2006 + 1_000_000, 10 + 300 + 25_000),
        ("cat", 2, 0, 700 + 400_000, 70 + 50_000),
        ("dan", 1, 0, 2_000_000, 50_000),
    ]


def test_every_call_is_paid_once_by_who_asked(day: Path) -> None:
    """A GPU for 1.00 an hour; 5.50 of tokens at 1.25 and 10.00 a million, for which 11.00 are billed."""
    found = ask(day, "select pool, kind, user_id, sum(cost) from cost_ledger group by all")
    assert sum(Decimal(str(cost)) for *_, cost in found) == 35
    costs = {tuple(key): round(Decimal(str(cost)), 6) for *key, cost in found}
    assert {key: cost for key, cost in costs.items() if cost} == {
        ("serving", "direct", "ann"): Decimal("0.7"),
        ("serving", "direct", "bob"): Decimal("0.2"),
        ("serving", "direct", "cat"): Decimal("0.2"),
        ("serving", "idle", None): Decimal("22.9"),
        ("llm", "direct", "bob"): Decimal(3),
        ("llm", "direct", "cat"): Decimal(2),
        ("llm", "direct", "dan"): Decimal(6),
    }


def test_a_request_shows_its_lines_with_the_replica_of_the_one_who_answered(day: Path) -> None:
    said = farthing("explain", "request", "plain", "--project", day)
    assert said.code == 0, said.err
    assert all(word in said.out for word in ("client", "gateway", "server", "vllm-0"))


def test_no_prompt_and_no_answer_is_anywhere_below_the_project_but_in_the_logs(day: Path) -> None:
    logs = {"gateway", "app", "servers"}
    files = [path for path in day.rglob("*") if path.is_file() and not logs & set(path.relative_to(day).parts)]
    told = {name for path in files for name in (b"grandmother", b"secret answer") if name in path.read_bytes()}
    assert (len(files) > 20, told) == (True, set())


def test_another_collection_and_build_change_nothing(day: Path) -> None:
    asked = "select * from cost_ledger order by all"
    before = ask(day, asked)
    with clock.fixed(BEGIN + timedelta(days=2, hours=1)):
        results = run(day)
    assert {(one["landed"], one["rejected"]) for one in results} == {(0, 0)}
    assert ask(day, asked) == before
