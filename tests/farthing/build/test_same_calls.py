"""A call that client, gateway and server each logged is one request; each line that is no call of its own is told."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing.console import Sheet
from farthing.explain import explain_request
from farthing.lake import Lake
from farthing.warehouse import open_warehouse
from tests.farthing.build.test_gpus import NEARLY
from tests.farthing.build.world import Ran, World, at

TEN = at("10:00")
API_POOL = {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}}


def api() -> World:
    """A day on which an API cost 60."""
    one = World(API_POOL)
    one.charge(60, at(), at(day=2), resource=None, ProviderName="OpenAI")
    return one


def line(one: World, id: str, start: datetime = TEN, end: datetime | None = None, **more: Any) -> None:
    """A log line of a call of 1000 tokens in and 10 out, without a user unless it says one."""
    values = {"provider": "openai", "replica": None, "user": None, "input_tokens": 1000, "output_tokens": 10, **more}
    one.request(start, end or at("10:00:09"), id=id, **values)


def usage(ran: Ran, *columns: str) -> list[tuple[Any, ...]]:
    return ran.ask(f"select {', '.join(columns)} from done.usage_days order by all")


def same(ran: Ran) -> list[tuple[Any, ...]]:
    return ran.ask("select x_source, request_id, call_source, call_request_id from done.same_calls order by all")


def test_lines_with_one_answer_id_are_one_call_of_the_user_of_the_outermost() -> None:
    one = api()
    line(one, "client", user="Ann", provider_request_id="resp-1", seen_by="client")
    line(one, "gateway", user="key-7", provider_request_id="resp-1", seen_by="gateway", x_source="gate")
    line(one, "other", user="Bob", provider_request_id="resp-2", seen_by="gateway", x_source="gate")
    ran = one.run()
    assert usage(ran, "user_id", "requests", "input_tokens") == [("Ann", 1, 1000), ("Bob", 1, 1000)]
    assert ran.ledger("user_id") == {"Ann": 30, "Bob": 30}
    assert same(ran) == [("gate", "gateway", "log", "client")]


def test_a_merged_call_has_the_replica_and_the_first_token_of_the_one_who_answered() -> None:
    one = World()
    one.charge(60)
    one.gpu()
    one.usage(TEN, at("11:00"), 1, every=60)
    line(one, "client", at("10:00"), at("10:30"), user="Ann", provider_request_id="x", seen_by="client")
    server = {"provider": "vllm", "replica": "r", "seen_by": "server", "x_source": "vllm", "model": "llama"}
    line(one, "server", at("10:00:01"), at("10:29"), first=at("10:00:02"), provider_request_id="x", **server)
    ran = one.run()
    assert ran.ledger("user_id", "model", where="kind = 'direct'") == {
        ("Ann", "llama"): pytest.approx(Decimal(29), abs=NEARLY * 100)
    }
    assert ran.ask("select provider, model, requests from done.usage_days") == [("vllm", "llama", 1)]


def test_the_tokens_are_those_of_the_line_that_was_told_them_and_more_kinds_of_them() -> None:
    one = api()
    line(one, "client", provider_request_id="x", seen_by="client", input_tokens=None, output_tokens=None)
    one.rows["requests"][-1]["usage_quality"] = "missing"
    line(one, "gateway", provider_request_id="x", seen_by="gateway", cached_input_tokens=400, reasoning_tokens=3)
    line(one, "guess", provider_request_id="x", seen_by="server", cached_input_tokens=1, reasoning_tokens=1)
    one.rows["requests"][-1] |= {"usage_quality": "estimated", "cache_write_tokens": 1, "input_tokens": 7}
    columns = ("requests", "requests_without_usage", "input_tokens", "cached_input_tokens", "reasoning_tokens")
    assert usage(one.run(), *columns) == [(1, 0, 1000, 400, 3)]


def test_a_span_that_contains_one_other_request_is_the_same_call() -> None:
    one = api()
    line(one, "outer", user="Ann", trace_id="t", span_id="a", seen_by="client")
    line(one, "inner", trace_id="t", span_id="b", parent_span_id="a", seen_by="server", x_source="vllm")
    ran = one.run()
    assert usage(ran, "user_id", "requests") == [("Ann", 1)]
    assert same(ran) == [("vllm", "inner", "log", "outer")]


def test_a_span_that_contains_two_others_is_no_call_and_its_user_asked_for_both() -> None:
    one = api()
    line(one, "agent", user="Ann", trace_id="t", span_id="a", input_tokens=2000)
    line(one, "first", trace_id="t", span_id="b", parent_span_id="a")
    line(one, "second", trace_id="t", span_id="c", parent_span_id="a")
    ran = one.run()
    assert usage(ran, "user_id", "requests", "input_tokens") == [("Ann", 2, 2000)]
    assert same(ran) == [("log", "agent", None, None)]


def test_a_gateway_line_without_a_span_joins_the_client_and_the_server_by_the_answer_of_the_client() -> None:
    one = api()
    line(one, "client", trace_id="t", span_id="a", provider_request_id="x", seen_by="client")
    line(one, "gateway", user="Ann", provider_request_id="x", seen_by="gateway", x_source="gate")
    line(one, "server", trace_id="t", span_id="b", parent_span_id="a", seen_by="server", x_source="vllm")
    ran = one.run()
    assert usage(ran, "user_id", "requests") == [("Ann", 1)]
    assert same(ran) == [("gate", "gateway", "log", "client"), ("vllm", "server", "log", "client")]


def test_lines_are_one_call_also_when_only_others_of_it_share_anything_with_both() -> None:
    one = api()
    line(one, "gateway", user="Ann", provider_request_id="x", seen_by="gateway", x_source="gate")
    line(one, "client", trace_id="t", span_id="a", provider_request_id="x", seen_by="client")
    line(one, "server", trace_id="t", span_id="b", parent_span_id="a", provider_request_id="y", seen_by="server")
    line(one, "engine", provider_request_id="y", seen_by="server", x_source="engine")
    ran = one.run()
    assert usage(ran, "user_id", "requests") == [("Ann", 1)]
    assert [row[1] for row in same(ran)] == ["engine", "gateway", "server"]


def test_an_answer_from_the_cache_of_a_gateway_is_a_call_of_its_own() -> None:
    one = api()
    line(one, "asked", user="Ann", provider_request_id="x")
    line(one, "again", at("10:05"), at("10:05:01"), user="Bob", provider_request_id="x", gateway_cache_hit=True)
    ran = one.run()
    assert usage(ran, "user_id", "requests") == [("Ann", 1), ("Bob", 1)]
    assert ran.ledger("user_id") == {"Ann": 60}


@pytest.mark.parametrize("minutes", ["05", "20"])
def test_who_asked_for_what_came_from_the_cache_made_that_call_and_not_the_first_one(minutes: str) -> None:
    one = api()
    line(one, "first", user="Ann", provider_request_id="x", seen_by="client")
    line(one, "asked", provider_request_id="x", seen_by="gateway", x_source="gate")
    start, end = at(f"10:{minutes}"), at(f"10:{minutes}:02")
    line(one, "second", start, end, user="Bob", provider_request_id="x", seen_by="client")
    hit: dict[str, Any] = {
        "gateway_cache_hit": True,
        "provider": "litellm-cache",
        "x_source": "gate",
        "seen_by": "gateway",
    }
    line(one, "hit", at(f"10:{minutes}:01"), end, provider_request_id="x", **hit)
    ran = one.run()
    assert usage(ran, "user_id", "requests") == [("Ann", 1), ("Bob", 1)]
    assert ran.ledger("user_id") == {"Ann": 60}
    assert same(ran) == [("gate", "asked", "log", "first"), ("gate", "hit", "log", "second")]


def test_an_answer_id_that_comes_again_much_later_is_another_call() -> None:
    one = api()
    line(one, "one", user="Ann", provider_request_id="x")
    line(one, "two", at("10:15:01"), at("10:16"), user="Bob", provider_request_id="x")
    assert usage(one.run(), "user_id", "requests") == [("Ann", 1), ("Bob", 1)]


def test_a_span_that_was_exported_to_two_tools_is_one_call_also_in_an_agent_and_around_a_server() -> None:
    """Langfuse's own library writes spans that a collector of OpenTelemetry may get too."""
    one = api()
    one.span("agent", user_id="Ann")
    for source in ("log", "langfuse"):
        for call in ("b", "c"):
            ids: dict[str, Any] = {"trace_id": "t", "span_id": call, "parent_span_id": "agent", "x_source": source}
            line(one, f"{source}-{call}", seen_by="client", **ids)
    line(one, "server", trace_id="t", span_id="d", parent_span_id="c", seen_by="server", x_source="vllm")
    ran = one.run()
    assert usage(ran, "user_id", "requests", "input_tokens") == [("Ann", 2, 2000)]
    assert len(same(ran)) == 3


def test_equal_span_ids_of_two_traces_are_two_spans() -> None:
    one = api()
    line(one, "one", user="Ann", trace_id="t", span_id="a")
    line(one, "two", user="Bob", trace_id="u", span_id="b", parent_span_id="a")
    assert usage(one.run(), "user_id", "requests") == [("Ann", 1), ("Bob", 1)]


def test_the_user_of_a_request_is_on_the_nearest_span_above_that_names_one() -> None:
    one = api()
    one.span("top", user_id="Zoe", team_id="search", environment="prod")
    one.span("step", "top", user_id="Ann")
    one.span("leaf", "step")
    line(one, "call", trace_id="t", span_id="leaf", parent_span_id="step")
    ran = one.run()
    assert usage(ran, "user_id", "team_id", "environment", "requests") == [("Ann", "search", "prod", 1)]
    assert same(ran) == []


def test_a_request_that_names_its_user_keeps_it_whatever_the_spans_above_say() -> None:
    one = api()
    one.span("top", user_id="Zoe")
    line(one, "call", user="Ann", trace_id="t", span_id="leaf", parent_span_id="top")
    assert usage(one.run(), "user_id", "requests") == [("Ann", 1)]


def test_the_user_above_the_outermost_line_goes_before_the_one_that_a_gateway_knows() -> None:
    one = api()
    one.span("agent", user_id="Ann")
    line(one, "client", trace_id="t", span_id="a", parent_span_id="agent", provider_request_id="x", seen_by="client")
    line(one, "gateway", user="key-7", provider_request_id="x", seen_by="gateway", x_source="gate", trace_id="t")
    assert usage(one.run(), "user_id", "requests") == [("Ann", 1)]


def test_two_requests_are_one_call_also_when_spans_that_are_no_requests_lie_between_them() -> None:
    one = api()
    one.span("a")
    one.span("http", "a")
    line(one, "client", user="Ann", trace_id="t", span_id="a", seen_by="client")
    line(one, "server", trace_id="t", span_id="b", parent_span_id="http", seen_by="server")
    assert usage(one.run(), "user_id", "requests") == [("Ann", 1)]


def test_a_span_whose_only_request_begins_much_later_is_no_call() -> None:
    one = api()
    line(one, "session", TEN, at("11:00"), user="Ann", trace_id="t", span_id="a")
    line(one, "call", at("10:15:01"), at("10:16"), trace_id="t", span_id="b", parent_span_id="a")
    ran = one.run()
    assert usage(ran, "user_id", "requests") == [("Ann", 1)]
    assert same(ran) == [("log", "session", None, None)]


def test_the_way_up_stays_in_the_trace() -> None:
    one = api()
    one.span("top", trace_id="u")
    one.span("a", "top", trace_id="u")
    one.span("a")
    one.span("top", user_id="Zoe")  # of this trace, and above nothing
    line(one, "call", trace_id="t", span_id="b", parent_span_id="a")
    assert usage(one.run(), "user_id", "requests") == [(None, 1)]


def test_spans_in_a_circle_end() -> None:
    one = api()
    line(one, "one", trace_id="t", span_id="a", parent_span_id="b", user="Ann")
    line(one, "two", trace_id="t", span_id="b", parent_span_id="a", user="Ann")
    assert sum(row[0] for row in usage(one.run(), "requests")) >= 1


@pytest.mark.parametrize("together", [1, 2])
def test_a_call_over_midnight_counts_once_on_the_day_on_which_it_was_asked(together: int) -> None:
    one = World(API_POOL)
    for day in (1, 2):
        one.charge(60, at(day=day), at(day=day + 1), resource=None, ProviderName="OpenAI")
    end = at("00:00:30", 2)
    line(one, "client", at("23:59:59"), end, user="Ann", provider_request_id="x", seen_by="client")
    line(one, "gateway", at("23:59:59.5"), end, provider_request_id="x", seen_by="gateway")
    line(one, "server", at("00:00:01", 2), end, provider_request_id="x", seen_by="server")
    line(one, "next", at("12:00", 2), at("12:01", 2), user="Bob")
    ran = one.run(together=together)
    assert usage(ran, "day", "user_id", "requests") == [(at().date(), "Ann", 1), (at(day=2).date(), "Bob", 1)]
    told = ran.ask("select day, request_id, call_request_id from done.same_calls order by all")
    assert told == [(at().date(), "gateway", "client"), (at(day=2).date(), "server", "client")]


def test_what_the_asker_wrote_in_a_tag_wins_over_what_the_answerer_wrote() -> None:
    one = api()
    one.tables["ledger"] = {"dimensions": ["project", "queue"]}
    line(one, "client", provider_request_id="x", seen_by="client", tags='{"project": "alpha"}')
    line(one, "server", provider_request_id="x", seen_by="server", tags='{"project": "beta", "queue": "q"}')
    assert usage(one.run(), "dimensions", "requests") == [('{"project":"alpha","queue":"q"}', 1)]


def explained(one: World, folder: Path, request: str) -> dict[str, Sheet]:
    config = one.config(folder)
    with open_warehouse(config) as con:
        return {sheet.name: sheet for sheet in explain_request(con, config, request)}


def test_a_request_shows_the_lines_of_its_call_and_its_cost_stands_on_the_first(tmp_path: Path) -> None:
    one = api()
    line(one, "agent", user="Ann", trace_id="t", span_id="a")
    line(one, "first", trace_id="t", span_id="b", parent_span_id="a", provider_request_id="x", seen_by="client")
    line(one, "second", trace_id="t", span_id="c", parent_span_id="a")
    line(one, "gateway", provider_request_id="x", seen_by="gateway")
    one.land(Lake(one.config(tmp_path).lake_path))
    one.build(tmp_path)
    outer, inner, whole = (explained(one, tmp_path, name) for name in ("first", "gateway", "agent"))
    assert [row[1] for row in outer["lines"].rows] == [row[1] for row in inner["lines"].rows] == ["first", "gateway"]
    assert [row[4] for row in outer["costs"].rows] == [30]
    assert inner["costs"].rows == [] == whole["costs"].rows
    assert "stands on the first line" in inner["costs"].note
    assert "finer lines" in whole["costs"].note
    assert "lines" not in whole


def test_a_call_over_midnight_counts_once_when_each_day_reads_its_own_files(tmp_path: Path) -> None:
    one = World(API_POOL)
    for day in (1, 2):
        one.charge(60, at(day=day), at(day=day + 1), resource=None, ProviderName="OpenAI")
    end = at("00:00:30", 2)
    line(one, "client", at("23:59:59"), end, user="Ann", provider_request_id="x", seen_by="client")
    line(one, "server", at("00:00:01", 2), end, provider_request_id="x", seen_by="server")
    one.land(Lake(one.config(tmp_path).lake_path))
    one.build(tmp_path)
    with open_warehouse(one.config(tmp_path)) as con:
        assert con.execute("select day, user_id, requests from usage_days").fetchall() == [(at().date(), "Ann", 1)]
