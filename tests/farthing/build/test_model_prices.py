"""The price table: equal to the package that it is made from, own prices on top, and no model priced by a guess."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers

from farthing.build import model_prices, runner, settings
from farthing.lake import Lake
from tests.farthing.build.world import Ran, World, at, published

MILLION = 1_000_000
POOL = {"name": "api", "kind": "api", "match": {"ProviderName": "Vendor"}}
FAST = {"attribution": {"cell_seconds": 60}}
#: The package has the tiers of most models from here on.
LATE = datetime(2026, 10, 20, 12, tzinfo=UTC)


def world(**tables: Any) -> World:
    return World(POOL, **{**FAST, **tables})


def call(one: World, model: str, start: datetime | None = None, **more: Any) -> None:
    """A request to OpenAI: a million input tokens unless it says other."""
    values = {"provider": "openai", "replica": None, "input_tokens": MILLION, **more}
    one.request(start or LATE, model=model, **values)


def priced(one: World) -> list[Any]:
    """What each request costs, in the order in which they were made; None where no price is known."""
    con = one.bill()
    settings.open_days(con, dict.fromkeys({row["day"] for row in one.rows["requests"]}, 0))
    found = runner.models("staging", "core", "checks/bill", "checks/day")
    made = {model.name for model in runner.in_order(found, ["charge_spans"])}
    runner.run(con, found, ["priced_requests"], without=made)
    rows = dict(con.execute("select request_id, money(pico) from priced_requests").fetchall())
    return [rows[row["request_id"]] for row in one.rows["requests"]]


def costs(*calls: dict[str, Any], **tables: Any) -> list[Any]:
    """What each of `calls` costs; each is a million input tokens of OpenAI's gpt-5 unless it says other."""
    one = world(**tables)
    for values in calls:
        call(one, **{"model": "gpt-5", **values})
    return priced(one)


def golden(number: int) -> None:
    """Random uses of random models on random days, in each tier, against the library called for each."""
    chance = random.Random(number)
    models = [(one.id, model.id) for one in providers for model in one.models if one.find_model(model.id)]
    one, expected = world(), []
    for _ in range(number):
        provider, model = chance.choice(models)
        tier = chance.choice(list(model_prices.TIERS))
        start = datetime(2025, 3, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(60 * 24 * 700))
        total = int(10 ** chance.uniform(0, 6.2))
        read = chance.choice([0, chance.randrange(total + 1)])
        write = chance.choice([0, chance.randrange(total - read + 1)])
        hour = chance.choice([0, chance.randrange(write + 1)])
        output = chance.randrange(100_000)
        reasoning = chance.choice([0, chance.randrange(output + 1)])
        one.request(
            start,
            provider=provider,
            model=model,
            replica=None,
            service_tier=tier,
            input_tokens=total,
            cached_input_tokens=read,
            cache_write_tokens=write,
            cache_write_1h_tokens=hour,
            output_tokens=output,
            reasoning_tokens=reasoning,
        )
        usage = genai_prices.Usage(
            input_tokens=total,
            cache_read_tokens=read,
            cache_write_tokens=write,
            cache_write_1h_tokens=hour,
            output_tokens=output,
            output_reasoning_tokens=reasoning,
        )
        said = genai_prices.calc_price(
            usage,
            model,
            provider_id=provider,
            genai_request_timestamp=start,
            price_context=model_prices.TIERS[tier],
        )
        by_tokens = said.model_price.input_mtok is not None
        expected.append(said.total_price.quantize(Decimal("1e-12"), ROUND_HALF_UP) if by_tokens else None)
    found = priced(one)
    assert sum(price is not None for price in found) > 0.9 * number
    assert found == expected


def test_prices_equal_the_package_to_the_last_digit() -> None:
    golden(500)


@pytest.mark.heavy
def test_ten_thousand_prices_equal_the_package_to_the_last_digit() -> None:
    golden(10_000)


def test_a_model_without_a_price_has_none_and_never_that_of_another() -> None:
    unknown = [
        {"model": "brand-new"},
        {"provider": "acme-gateway"},  # no provider that the package knows
        {"model": "whisper-large-v3", "provider": "groq"},  # priced by hours of audio
        {"service_tier": "secret"},
    ]
    assert costs(*unknown) == [None] * 4
    assert costs({}, attribution={"price_table": "none"}) == [None]


def test_names_are_found_under_the_prefixes_that_gateways_write() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0"
    names = {
        ("openai/gpt-5", "openai"): "1.25",
        ("gpt-5", "OpenAI"): "1.25",
        ("azure/gpt-4o", "azure"): "2.5",
        ("anthropic/claude-haiku-4-5", None): "1",
        (arn, "aws.bedrock"): "1.1",
    }
    found = costs(*({"model": model, "provider": provider, "input_tokens": 100_000} for model, provider in names))
    assert found == [Decimal(price) / 10 for price in names.values()]


def test_the_model_that_answered_is_billed_then_the_one_asked_for_then_its_alias() -> None:
    aliases = {"Our-Helper": "openai/gpt-5", "gpt-4o": "gpt-5", "theirs": "m"}
    found = costs(
        {"model": "gpt-4o", "response_model": "gpt-5"},
        {"response_model": "deployment-7"},
        {"model": "our-helper"},
        {"model": "our-helper", "provider": "our-gateway"},
        {"model": "theirs"},
        {"model": "gpt-4o"},  # has a price of its own
        attribution={"model_aliases": aliases},
        prices=[{"model": "m", "input": "7", "output": "7"}],
    )
    assert found == [*[Decimal("1.25")] * 4, 7, Decimal("2.5")]


def test_flex_batch_and_priority_have_their_own_price() -> None:
    """litellm#13810 priced flex as standard, twice too much; PR 37077 priced batches at 0."""
    tiers = {None: "1.25", "default": "1.25", "flex": "0.625", "batch": "0.625", "Priority": "2.5"}
    assert costs(*({"service_tier": tier} for tier in tiers)) == [Decimal(price) for price in tiers.values()]


def test_above_a_step_the_whole_request_is_dearer_also_in_batches() -> None:
    """litellm PR 39861: the step of the long context was missed in batches."""
    sizes = (272_000, 272_001)
    found = costs(*({"model": "gpt-5.4", "service_tier": "batch", "input_tokens": tokens} for tokens in sizes))
    assert found == [Decimal("0.34"), Decimal("0.6800025")]


def test_prices_change_on_their_day_and_by_the_minute() -> None:
    """DeepSeek is dearer from 01:00 to 04:00 and from 06:00 to 10:00 UTC."""
    times = ("00:59:59", "01:00", "03:59", "04:00")
    calls = [{"model": "deepseek-flash", "provider": "deepseek", "start": at(time, 20)} for time in times]
    days = [datetime(2026, 9, day, 12, tzinfo=UTC) for day in (9, 10)]
    calls += [{"model": "deepseek-v4-flash", "provider": "deepseek", "start": day} for day in days]
    assert costs(*calls) == [Decimal(price) for price in ("0.15", "0.3", "0.3", "0.15", "0.22", "0.15")]


def test_writes_for_an_hour_cost_more_than_those_for_five_minutes() -> None:
    """litellm PR#37407 priced them as those for five minutes: 37 % too little."""
    written = {"model": "claude-sonnet-4-5", "provider": "anthropic", "cache_write_tokens": MILLION // 10}
    sizes = {"input_tokens": MILLION // 10}
    short, long = costs({**written, **sizes}, {**written, **sizes, "cache_write_1h_tokens": MILLION // 10})
    assert short / long == Decimal("0.625")


def test_cached_and_reasoning_tokens_are_paid_once() -> None:
    """litellm#6215, #14849, #14874 paid cached ones twice; langfuse#11244 reasoning twice, #12531 not at all."""
    found = costs(
        {"cached_input_tokens": MILLION},
        {"input_tokens": 0, "output_tokens": MILLION, "reasoning_tokens": MILLION // 2},
    )
    assert found == [Decimal("0.125"), 10]


def test_provisioned_capacity_has_no_price_by_token_unless_one_is_configured() -> None:
    own = {"model": "gpt-4o", "service_tier": "provisioned", "input": "0.5", "output": "1"}
    calls = [{"service_tier": "provisioned"}, {"model": "brand-new", "service_tier": "ptu"}]
    assert costs(*calls, {"model": "gpt-4o", "service_tier": "scale"}, prices=[own]) == [0, None, Decimal("0.5")]


def test_own_prices_win_from_the_day_on_which_they_begin() -> None:
    own = {"model": "gpt-5", "provider": "openai", "input": "1", "output": "1", "valid_from": date(2026, 10, 15)}
    one = world(prices=[own])
    for number in (14, 15):
        call(one, "gpt-5", at("12:00", number))
    assert priced(one) == [Decimal("1.25"), 1]


def test_an_own_price_may_be_of_one_tier() -> None:
    own = {"model": "gpt-5", "input": "0.1", "output": "1", "service_tier": "batch"}
    one = world(prices=[own, {**own, "service_tier": None, "input": "1"}])
    call(one, "gpt-5", service_tier="batch")
    call(one, "gpt-5")
    assert priced(one) == [Decimal("0.1"), 1]


def test_prices_of_the_table_are_not_mixed_with_own_ones_of_another_currency() -> None:
    one = world(prices=[{"model": "m", "input": "2", "output": "2", "currency": "EUR"}])
    call(one, "m")
    call(one, "gpt-5")
    assert priced(one) == [2, None]


def test_answers_of_a_gateways_cache_are_never_priced() -> None:
    one = world()
    call(one, "gpt-5")
    call(one, "gpt-5", gateway_cache_hit=True)
    assert matches(one.run()) == [("gpt-5", "model that answered", 1, Decimal("1.25"))]


def matches(ran: Ran) -> list[tuple[Any, ...]]:
    return ran.ask("select model, how, requests, cost from done.price_days order by all")


@pytest.mark.heavy
def test_what_a_gateway_said_is_shown_beside_ours_and_never_used(tmp_path: Path) -> None:
    """litellm#8514: 26.74 shown, 770 billed."""
    one = world()
    one.charge(770, at(day=20), at(day=21), ProviderName="Vendor", resource=None)
    call(one, "gpt-5", input_tokens=600 * MILLION, reported_cost=Decimal("26.74"))
    call(one, "brand-new", input_tokens=None, reported_cost=Decimal(3))
    one.land(Lake(str(tmp_path / "lake")))
    with published(one.build(tmp_path)) as con:
        assert con.execute("select sum(cost) from cost_ledger").fetchone() == (770,)
        rows = con.execute(
            "select model, currency, cost, reported_cost, difference, reported_share from price_check order by 1"
        ).fetchall()
        assert rows == [
            ("brand-new", None, None, 3, None, None),
            ("gpt-5", "USD", 750, Decimal("26.74"), Decimal("-723.26"), Decimal("0.035653")),
        ]
        assert con.execute("select model, how, price_model, cost from price_match order by 1").fetchall() == [
            ("brand-new", None, None, None),
            ("gpt-5", "model that answered", "gpt-5", 750),
        ]
        assert con.execute(
            "select input, cached_input, output, valid_from from model_prices"
            " where service_tier = 'flex' and valid_from > '2026-01-01'"
        ).fetchall() == [(Decimal("0.625"), Decimal("0.0625"), 5, date(2026, 10, 12))]


def test_a_bill_is_shared_by_prices_of_the_table_and_models_without_one_are_unpriced() -> None:
    """litellm PR#35913: 1.16 shown where 185 was billed, as a model without a price cost 0."""
    one = world()
    one.charge("186.16", at(day=20), at(day=21), ProviderName="Vendor", resource=None)
    call(one, "gpt-5", input_tokens=928_000)
    call(one, "brand-new", user="v", input_tokens=100 * MILLION)
    assert one.run().ledger("kind", "user_id", "model") == {
        ("direct", "u", "gpt-5"): Decimal("1.16"),
        ("unpriced", None, "brand-new"): Decimal(185),
    }


@pytest.mark.heavy
def test_without_a_bill_the_table_makes_an_estimate(tmp_path: Path) -> None:
    one = world()
    call(one, "gpt-5")
    ran = one.run()
    assert ran.ledger("user_id", "provisional") == {("u", True): Decimal("1.25")}
    one.land(Lake(str(tmp_path / "lake")))
    with published(one.build(tmp_path)) as con:
        assert con.execute("select basis, cost from provisional_charges").fetchall() == [
            ("price table", Decimal("1.25"))
        ]
