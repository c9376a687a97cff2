"""What vendors of model APIs charge and count lands by day, exact, once, and again when they mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import stamina

from collectors import LoadResult
from farthing import clock
from farthing.config import from_mapping
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import CHARGES, LOADS, REJECTS, VENDOR_USAGE
from farthing.starter import kind_of
from tests.collectors.conftest import Silence, collector
from tests.collectors.vendors import Anthropic, Digits, OpenAI, page, written
from tests.servers import Answered, Web, web  # noqa: F401  # fixtures

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def day(number: int, month: int = 11) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


@pytest.fixture(autouse=True)
def now_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", "sk-ant-admin")
    with stamina.set_testing(True, attempts=3), clock.fixed(NOW):
        yield


def cost(amount: str, item: str | None = "gpt-5.6-terra, output", project: str | None = "proj_a", **more: Any) -> Any:
    named = {"object": "organization.costs.result", "amount": {"value": Digits(amount), "currency": "usd"}}
    return {**named, "line_item": item, "project_id": project, **more}


def described(amount: str, **more: Any) -> Any:
    return {
        "amount": amount, "currency": "USD", "cost_type": "tokens", "token_type": "output_tokens",
        "model": "claude-opus-5", "description": "Claude Opus 5 Usage - Output Tokens", "service_tier": "standard",
        "context_window": "0-200k", "inference_geo": None, "workspace_id": "wrkspc_1", **more,
    }  # fmt: skip


def used(**more: Any) -> Any:
    return {
        "uncached_input_tokens": 1500, "cache_read_input_tokens": 200, "output_tokens": 500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
        "server_tool_use": {"web_search_requests": 10}, "api_key_id": "apikey_1", "context_window": "0-200k",
        "model": "claude-opus-5", "service_tier": "standard", "workspace_id": None, **more,
    }  # fmt: skip


@pytest.fixture
def openai(web: Web) -> OpenAI:  # noqa: F811
    web.answer = vendor = OpenAI({"costs": {day(1): [cost("0.06")], day(3): [cost("1.5")]}})
    return vendor


@pytest.fixture
def anthropic(web: Web) -> Anthropic:  # noqa: F811
    web.answer = vendor = Anthropic({"cost_report": {day(1): [described("123.45")]}})
    return vendor


def collect(world: Any, web: Web, kind: str = "openai", **settings: Any) -> dict[str, LoadResult]:  # noqa: F811
    values = {"kind": kind, "endpoint": web.endpoint, "since": "2026-11-01", **settings}
    made = from_mapping({"sources": {"api": values}}, file=world.folder / "farthing.toml")
    results = collector(kind).collect("api", made.sources["api"], made, world.lake, Silence())
    assert all(result.balanced for result in results)
    return {result.file: result for result in results}


def statuses(results: dict[str, LoadResult]) -> dict[str, str]:
    return {name: result.status for name, result in results.items()}


def amounts(world: Any) -> list[Decimal]:
    return [row["EffectiveCost"] for row in world.rows(CHARGES, "ChargePeriodStart, EffectiveCost")]


# -- charges of an API ------------------------------------------------------------------------------------------


def test_openai_costs_of_all_pages_land_as_focus_with_every_digit(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    openai.results["costs"][day(2)] = [
        cost("0.1000000000000000055", "gpt-5.6-terra, cached input", quantity=18996, quantity_unit="tokens"),
        cost("1e-05", "whisper", None, api_key_id="key_1"),
    ]
    [result] = collect(world, web, export="org-1").values()
    assert (result.file, result.form, result.read, result.landed) == ("openai 2026-11", "OpenAI costs", 4, 4)
    rows = {row["SkuPriceId"]: row for row in world.rows(CHARGES)}
    cached = rows["gpt-5.6-terra, cached input"]
    assert cached["BilledCost"] + cached["x_BilledCostRounding"] == Decimal("0.1000000000000000055")
    expected = {
        "BillingAccountId": "org-1", "BillingCurrency": "USD", "ChargeCategory": "Usage", "ProviderName": "OpenAI",
        "ServiceCategory": "AI and Machine Learning", "SkuId": "gpt-5.6-terra", "SkuMeter": "cached input",
        "ConsumedQuantity": Decimal(18996), "ConsumedUnit": "tokens", "SubAccountId": "proj_a", "x_extra": None,
        "ListCost": None,
    }  # fmt: skip
    assert {name: cached[name] for name in expected} == expected
    assert (cached["ChargePeriodStart"], cached["ChargePeriodEnd"]) == tuple(
        moment.replace(tzinfo=None) for moment in (day(2), day(3))
    )
    assert cached["billing_month"] == day(1).date()
    other = rows["whisper"]
    assert (other["SkuId"], other["SkuMeter"], other["EffectiveCost"]) == ("whisper", None, Decimal("0.00001"))
    assert json.loads(other["x_extra"]) == {"api_key_id": "key_1"}
    assert web.asked[0].query["group_by"] == ["project_id", "line_item"]
    assert len(web.asked) == 12  # 24 days, two a page


def test_anthropic_costs_are_in_cents_and_land_in_dollars(world: Any, web: Web, anthropic: Anthropic) -> None:  # noqa: F811
    anthropic.results["cost_report"][day(2)] = [
        described("0.123456789012", workspace_id=None),
        described("250", cost_type="web_search", model=None, token_type=None, description="Web Search Usage"),
    ]
    [result] = collect(world, web, "anthropic").values()
    assert (result.form, result.landed) == ("Anthropic cost report", 3)
    assert [row + 0 for row in amounts(world)] == [Decimal("1.2345"), Decimal("0.001234567890"), Decimal("2.5")]
    first, _, search = world.rows(CHARGES, "ChargePeriodStart, EffectiveCost")
    assert (first["SkuId"], first["SkuMeter"], first["SubAccountId"]) == ("claude-opus-5", "output_tokens", "wrkspc_1")
    assert (search["SkuId"], search["ChargeDescription"]) == ("web_search", "Web Search Usage")
    assert (first["BillingAccountId"], first["ProviderName"]) == ("api", "Anthropic")
    assert json.loads(first["x_extra"]) == {
        "context_window": "0-200k", "cost_type": "tokens", "service_tier": "standard",
    }  # fmt: skip
    assert web.asked[0].query["group_by[]"] == ["workspace_id", "description"]


def test_a_second_collection_without_news_changes_nothing(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    openai.results["costs"][day(2)] = [cost("1"), cost("2")]
    collect(world, web)
    openai.results["costs"][day(2)].reverse()  # an order that means nothing
    openai.days_of_a_page = 31
    assert statuses(collect(world, web)) == {"openai 2026-11": "unchanged"}
    assert [row["status"] for row in world.rows(LOADS)] == ["landed"]


@pytest.mark.slow
def test_a_settled_month_is_taken_once_more_and_then_left_alone(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    openai.results["costs"][day(30, 10)] = [cost("7")]
    with clock.fixed(day(10)):
        assert statuses(collect(world, web, since="2026-10-01")) == {
            "openai 2026-10": "landed", "openai 2026-11": "landed",
        }  # fmt: skip
    openai.results["costs"][day(30, 10)] = [cost("8")]
    assert collect(world, web, since="2026-10-01")["openai 2026-10"].status == "landed"
    openai.results["costs"][day(30, 10)] = [cost("9")]
    web.asked.clear()
    assert collect(world, web, since="2026-10-01")["openai 2026-10"].status == "unchanged"
    assert {asked.query["start_time"][0] for asked in web.asked} == {str(int(day(1).timestamp()))}
    assert amounts(world) == [Decimal(8), Decimal("0.06"), Decimal("1.5")]


def test_new_fields_in_the_middle_of_a_month_are_kept(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    openai.results["costs"][day(20)] = [cost("1", api_source="agents_api", tax={"rate": Digits("0.190")})]
    collect(world, web)
    extra = [row["x_extra"] for row in world.rows(CHARGES, "ChargePeriodStart")]
    assert extra[:2] == [None, None]
    assert json.loads(extra[2]) == {"api_source": "agents_api", "tax_rate": "0.190"}


def test_half_a_month_never_lands(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    collect(world, web)
    openai.results["costs"][day(3)] = [cost("99")]
    honest = web.answer
    web.answer = lambda asked: Answered(status=500) if "page" in asked.query else honest(asked)
    with pytest.raises(SourceError, match=r"/v1/organization/costs: it fails \(HTTP 500\)\. Fix: run .* again later"):
        collect(world, web)
    web.answer = lambda _: Answered(json.dumps({**page([]), "has_more": True}).encode())
    with pytest.raises(SourceError, match="more after page 1, and gives no next page; nothing of the month was landed"):
        collect(world, web)
    assert amounts(world) == [Decimal("0.06"), Decimal("1.5")]


def test_pages_that_go_round_in_a_circle_are_an_error(world: Any, web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(json.dumps(page([], "again")).encode())
    with pytest.raises(SourceError, match="more after page 2"):
        collect(world, web)


def test_an_answer_that_is_no_page_is_an_error(world: Any, web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(b"<html>Sign in</html>")
    with pytest.raises(SourceError, match="the answer is no page of OpenAI costs"):
        collect(world, web)


def test_a_missing_key_is_named_with_its_variable(world: Any, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match=r"sources\.api\.key_env\] the environment variable KEY_OF_MINE is not set"):
        collect(world, web, key_env="KEY_OF_MINE")
    assert not web.asked


def test_a_day_to_come_is_a_mistake_of_the_configuration(world: Any, web: Web) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match="still to come"):
        collect(world, web, since="2026-11-25")


def test_settings_of_asking_and_of_files_do_not_mix(world: Any) -> None:
    with pytest.raises(ConfigError, match="path reads files"):
        world.one("openai", "x.json", since="2026-10-01")
    with pytest.raises(ConfigError, match="kind 'openai' does not take it"):
        world.one("openai", "x.json", region="eu")


def test_an_amount_that_cannot_be_read_rejects_its_row_alone(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    openai.results["costs"][day(2)] = [cost('"much"'), {**cost("1"), "amount": {"currency": "usd"}}]
    [result] = collect(world, web).values()
    assert (result.read, result.landed, result.rejected) == (4, 2, 2)
    rejects = world.rows(REJECTS, "reason")
    assert "'much' is no plain decimal number" in rejects[0]["reason"]
    assert rejects[1]["reason"] == "the amount is missing"
    assert all('"line_item"' in row["raw"] for row in rejects)


# -- usage of an API --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_openai_usage_lands_by_class_of_token_and_nothing_is_lost(world: Any, web: Web, openai: OpenAI) -> None:  # noqa: F811
    openai.days_of_a_page = 31
    openai.results = {
        "completions": {
            day(2): [
                {
                    "object": "organization.usage.completions.result", "input_tokens": 27444,
                    "input_cached_tokens": 8448, "input_cache_write_tokens": 100, "output_tokens": 900,
                    "input_audio_tokens": 5, "num_model_requests": 3, "project_id": "proj_a", "user_id": "user-1",
                    "api_key_id": "key_1", "model": "gpt-5.6-terra", "batch": False, "service_tier": "default",
                },
                {"object": "organization.usage.completions.result", "input_tokens": 1, "batch": True},
            ]
        },
        "images": {day(3): [{"object": "organization.usage.images.result", "images": 4, "num_model_requests": 2}]},
    }  # fmt: skip
    results = collect(world, web, "openai_usage")
    assert len(results) == 8
    assert results["openai completions 2026-11"].landed == 2
    batch, plain, images = world.rows(VENDOR_USAGE, "day, input_tokens")
    expected = {
        "provider": "OpenAI", "operation": "completions", "model": "gpt-5.6-terra", "sub_account_id": "proj_a",
        "api_key_id": "key_1", "user_id": "user-1", "service_tier": "standard", "input_tokens": 27444,
        "cached_input_tokens": 8448, "cache_write_tokens": 100, "cache_write_1h_tokens": None, "output_tokens": 900,
        "requests": 3, "x_extra": '{"input_audio_tokens":"5"}', "day": day(2).date(),
    }  # fmt: skip
    assert {name: plain[name] for name in expected} == expected
    assert (batch["service_tier"], batch["model"], batch["requests"]) == ("batch", None, None)
    assert (images["operation"], images["input_tokens"]) == ("images", None)
    assert json.loads(images["x_extra"]) == {"images": "4"}
    assert set(statuses(collect(world, web, "openai_usage")).values()) == {"unchanged"}


def test_anthropic_usage_counts_input_with_its_cache(world: Any, web: Web, anthropic: Anthropic) -> None:  # noqa: F811
    anthropic.results = {"messages": {day(1): [used()], day(2): [used(cache_creation=None)]}}
    [result] = collect(world, web, "anthropic_usage").values()
    assert (result.file, result.landed) == ("anthropic messages 2026-11", 2)
    whole, partly = world.rows(VENDOR_USAGE, "day")
    expected = {
        "input_tokens": 3200, "cached_input_tokens": 200, "cache_write_tokens": 1500, "cache_write_1h_tokens": 1000,
        "output_tokens": 500, "requests": None, "model": "claude-opus-5", "operation": "messages",
    }  # fmt: skip
    assert {name: whole[name] for name in expected} == expected
    assert json.loads(whole["x_extra"]) == {"context_window": "0-200k", "server_tool_use_web_search_requests": "10"}
    assert (partly["input_tokens"], partly["cache_write_tokens"], partly["output_tokens"]) == (None, None, 500)
    assert json.loads(partly["x_extra"])["uncached_input_tokens"] == "1500"


# -- saved files ------------------------------------------------------------------------------------------------

OPENAI_CSV = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,"
    "user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source\n"
    "1793491200,1793577600,2026-11-01T00:00:00+00:00,2026-11-02T00:00:00+00:00,,,,,,,,,,,,,\n"
    "1793577600,1793664000,2026-11-02T00:00:00+00:00,2026-11-03T00:00:00+00:00,"
    '0.003835980000000000000000000000,usd,1200.0,tokens,"gpt-5.6-terra, output",,,proj_a,org-9,Search,Acme,,\n'
    "1793577600,1793664000,2026-11-02T00:00:00+00:00,broken\n"
)
CLAUDE_CSV = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,"
    "inference_geo,speed\n"
    "2026-11-02,Claude Opus 5,Default,prod,message,≤ 200k,input_cache_read,18.71,20.00,token,global,\n"
)
CLAUDE_USAGE_CSV = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-11-05,claude-opus-5,App,Default,standard,≤ 200k,46981,15969,0,10,16932,0,global,\n"
)
OPENAI_USAGE_CSV = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
    "input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
    "1793577600,1793577660,2026-11-02T00:00:00+00:00,2026-11-02T00:01:00+00:00,proj_a,3.0,,key_1,gpt-5.6-terra,False,"
    "4212,1673,0,4212\n"
)


def test_the_export_of_openai_lands_without_a_key_and_an_empty_bucket_is_no_row(world: Any) -> None:
    world.write("costs.csv", OPENAI_CSV)
    result = world.one("openai", "costs.csv")
    assert (result.form, result.read, result.landed, result.rejected) == ("OpenAI cost export", 2, 1, 1)
    [row] = world.rows(CHARGES)
    expected = {
        "EffectiveCost": Decimal("0.00383598"), "BillingAccountId": "org-9", "BillingAccountName": "Acme",
        "SubAccountName": "Search", "SkuMeter": "output", "ConsumedQuantity": Decimal(1200), "x_extra": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    [(line, reason)] = world.rejects()
    assert (line, "4 fields" in reason) == (4, True)


def test_the_export_of_the_claude_console_lands_with_its_list_price(world: Any) -> None:
    world.write("cost.csv", CLAUDE_CSV)
    assert world.one("anthropic", "cost.csv").form == "Claude Console cost export"
    [row] = world.rows(CHARGES)
    assert (row["EffectiveCost"], row["ListCost"], row["BillingCurrency"]) == (Decimal("18.71"), Decimal(20), "USD")
    assert (row["SkuId"], row["SkuMeter"], row["SubAccountName"]) == ("Claude Opus 5", "input_cache_read", "Default")
    assert json.loads(row["x_extra"])["api_key"] == "prod"


def test_exports_of_usage_land_by_their_headers(world: Any) -> None:
    world.write("a.csv", CLAUDE_USAGE_CSV)
    world.write("o.csv", OPENAI_USAGE_CSV)
    assert world.one("anthropic_usage", "a.csv").form == "Claude Console usage export"
    assert world.one("openai_usage", "o.csv", name="two").form == "OpenAI usage export"
    claude, openai = world.rows(VENDOR_USAGE, "provider")
    assert (claude["input_tokens"], claude["cached_input_tokens"], claude["cache_write_tokens"]) == (62960, 10, 15969)
    assert (claude["service_tier"], claude["output_tokens"]) == ("standard", 16932)
    assert (openai["requests"], openai["input_tokens"], openai["service_tier"]) == (3, 4212, None)
    assert (openai["ended_at"] - openai["started_at"]).seconds == 60


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_saved_pages_land_in_whatever_way_they_were_put_into_a_file(world: Any, form: str) -> None:
    buckets = [
        {"object": "bucket", "start_time": 1793491200 + n * 86400, "end_time": 1793577600 + n * 86400, "results": r}
        for n, r in enumerate([[cost("0.25")], [], [cost("0.5")]])
    ]
    pages = {"one": page(buckets), "list": [page(buckets[:1], "p2"), page(buckets[1:])]}
    lines = "\n".join(written(page([bucket])) for bucket in buckets)
    world.write("costs.json", lines if form == "lines" else written(pages[form]))
    result = world.one("openai", "costs.json")
    assert (result.form, result.landed) == ("OpenAI costs", 2)
    assert amounts(world) == [Decimal("0.25"), Decimal("0.5")]


def test_a_page_that_says_that_more_follow_lands_and_is_told(world: Any) -> None:
    bucket = {"start_time": 1793491200, "end_time": 1793577600, "results": [cost("0.25")]}
    world.write("costs.json", written(page([bucket], "p2")))
    result = world.one("openai", "costs.json")
    assert (result.form, result.landed) == ("OpenAI costs, more pages follow", 1)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (OPENAI_CSV, "openai"), (OPENAI_USAGE_CSV, "openai_usage"), (CLAUDE_CSV, "anthropic"),
        (CLAUDE_USAGE_CSV, "anthropic_usage"),
    ],
    ids=["openai", "openai_usage", "anthropic", "anthropic_usage"],
)  # fmt: skip
def test_init_knows_an_export_by_its_header(world: Any, content: str, kind: str) -> None:
    assert kind_of(world.write("export.csv", content)) == kind


def test_a_file_without_a_result_lands_as_nothing(world: Any) -> None:
    world.write("costs.json", json.dumps(page([{"start_time": 1793491200, "end_time": 1793577600, "results": []}])))
    assert world.one("openai", "costs.json").read == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("day,amount\n2026-11-01,1\n", "no report of OpenAI"),
        ('{"error": {"message": "no"}}', "no list 'data'"),
        ('{"data": [{"results": [{"amount": ', "no saved pages of a report"),
        (written(page([{"starting_at": "2026-11-01T00:00:00Z", "results": [{"amount": "1"}]}])), "no report of OpenAI"),
    ],
    ids=["another table", "an error", "cut off", "of another vendor"],
)
def test_a_file_that_is_no_report_fails_alone_and_says_what_it_has(world: Any, content: str, problem: str) -> None:
    world.write("a-good.csv", OPENAI_CSV)
    world.write("b-bad.json" if content.startswith("{") else "b-bad.csv", content)
    good, bad = world.collect("openai", "*-*.*")
    assert good.status == "landed"
    assert bad.status == "failed"
    assert problem in bad.problem
