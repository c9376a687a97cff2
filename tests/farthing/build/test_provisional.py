"""Before the bill comes: known resources and prices go on, marked provisional, until the bill takes their place."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from farthing.errors import ConfigError
from tests.farthing.build.test_gpus import NEARLY
from tests.farthing.build.world import GPU_POOL, Ran, World, at

FAST = {"attribution": {"cell_seconds": 60, "law_minimum_requests": 10_000}}
API_POOL = {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}}
MILLION = 1_000_000


def day(number: int) -> date:
    return at(day=number).date()


def node(prices: list[dict[str, Any]] | None = None, pool: dict[str, Any] | None = None) -> World:
    """A GPU pool of which nothing is known yet."""
    return World({**GPU_POOL, **(pool or {})}, prices=prices or [], **FAST)


def hours(world: World, rate: str, start: datetime, end: datetime, **charge: Any) -> None:
    """A bill of `rate` an hour from `start` to `end`, hour by hour."""
    while start < end:
        world.charge(rate, start, **charge)
        start += timedelta(hours=1)


def watched(world: World, until: datetime, *, gpu: str = "G", since: datetime | None = None) -> None:
    """Telemetry up to `until`: what no bill has confirmed goes on no longer than that."""
    world.usage(since or at(), until, 0.5, gpu=gpu, every=3600)


def days(ran: Ran, *more: str) -> dict[Any, Decimal]:
    """Cost by day (and more columns) that no bill has confirmed."""
    return ran.ledger("day", *more, where="provisional")


# Own GPUs


def test_a_resource_goes_on_at_the_rate_of_its_last_billed_day_up_to_the_last_logged_hour() -> None:
    one = node()
    one.gpu()
    hours(one, "1", at(), at("24:00"))
    hours(one, "3", at(day=2), at(day=3))
    watched(one, at("05:20", 4))
    ran = one.run()
    assert ran.ledger("day", where="not provisional") == {day(1): 24, day(2): 72}
    assert days(ran) == {day(3): 72, day(4): 18}  # the hour that has begun counts whole


def test_several_charges_for_the_same_time_of_a_resource_count_its_time_once() -> None:
    one = node()
    one.gpu()
    hours(one, "3", at(), at("24:00"))
    hours(one, "0.5", at(), at("24:00"))
    one.charge("12", at(), at("24:00"))  # a licence, for the day
    watched(one, at(day=3))
    assert days(one.run()) == {day(2): 96}


def test_a_charge_longer_than_a_day_gives_the_rate_of_its_last_day() -> None:
    one = node()
    one.gpu()
    one.charge("96", at(), at(day=3))
    watched(one, at(day=4))
    assert days(one.run()) == {day(3): 48}


def test_a_resource_that_starts_late_on_its_only_billed_day_has_the_rate_of_the_hours_billed() -> None:
    one = node()
    one.gpu(valid_from=at("22:00"))
    hours(one, "2", at("22:00"), at("24:00"))
    watched(one, at(day=3), since=at("22:00"))
    assert days(one.run()) == {day(2): 48}


def test_a_resource_that_was_never_billed_takes_the_configured_price_of_its_gpus() -> None:
    price = {"gpu_model": "*H100*", "gpu_hour": "2.5", "pool": "gpu"}
    one = node([price])
    one.gpu("G")
    one.gpu("H")
    one.gpu("other", resource="node-2", gpu_model="L4")  # nobody said what it costs
    watched(one, at("02:00", 1))
    ran = one.run()
    assert days(ran) == {day(1): 10}
    assert ran.ledger("BillingCurrency", "estimated") == {("USD", False): 10}
    unknown = node()
    unknown.gpu()
    watched(unknown, at("02:00", 1))
    assert unknown.run().ledger("day") == {}


def test_of_dated_prices_the_latest_that_has_begun_counts_and_of_equal_ones_the_first() -> None:
    one = node(
        [
            {"gpu_hour": "2", "pool": "gpu"},
            {"gpu_hour": "3", "pool": "gpu", "valid_from": day(2)},
            {"gpu_hour": "9", "pool": "gpu", "valid_from": day(2)},
            {"gpu_hour": "4", "pool": "gpu", "valid_from": day(3), "resource": "another*"},
        ]
    )
    one.gpu()
    watched(one, at(day=4))
    assert days(one.run()) == {day(1): 48, day(2): 72, day(3): 72}


def test_a_bill_wins_over_the_configured_price() -> None:
    one = node([{"gpu_hour": "9", "pool": "gpu"}])
    one.gpu()
    hours(one, "1", at(), at("24:00"))
    watched(one, at(day=3))
    assert days(one.run()) == {day(2): 24}


def test_a_gpu_cut_into_instances_is_priced_once_whenever_they_were_made() -> None:
    one = node([{"gpu_hour": "2", "pool": "gpu"}])
    for number, since in enumerate((at(), at("12:00"))):
        one.gpu(
            f"MIG-{number}", f"r{number}", parent_gpu_uuid="G", mig_profile="3g.40gb", valid_from=since, valid_to=None
        )
    watched(one, at(day=2), gpu="MIG-0")
    assert days(one.run()) == {day(1): 48}


def test_nothing_goes_on_after_the_inventory_ends() -> None:
    one = node()
    one.gpu(valid_to=at("12:00", 2))
    hours(one, "1", at(), at("24:00"))
    watched(one, at(day=4))
    assert days(one.run()) == {day(2): 12}


def test_nothing_goes_on_that_the_inventory_does_not_know() -> None:
    one = node()
    one.gpu(resource="node-2")
    hours(one, "1", at(), at("24:00"))
    watched(one, at(day=3))
    assert days(one.run()) == {}


def test_without_requests_and_telemetry_nothing_goes_on_after_the_bill() -> None:
    one = node([{"gpu_hour": "9", "pool": "gpu"}])
    one.gpu()
    one.gpu("H", resource="node-2")  # never billed
    hours(one, "1", at(), at("24:00"))
    assert one.run().ledger("day", "provisional") == {(day(1), False): 24}


@pytest.mark.parametrize(("ended", "goes_on"), [(1, False), (2, True)])
def test_a_resource_whose_bill_ended_more_than_a_week_before_that_of_its_provider_is_gone(
    ended: int, goes_on: bool
) -> None:
    one = node()
    one.gpu("G", resource="node-1")
    one.gpu("H", resource="node-2")
    one.charge("24", at(day=ended), at(day=ended + 1), resource="node-1")
    one.charge("48", at(day=9), at(day=10), resource="node-2")
    watched(one, at(day=11))
    assert days(one.run(), "day") == {(day(10), day(10)): 48 + 24 * goes_on}


def test_each_provider_of_a_pool_has_an_end_of_its_own() -> None:
    one = node()
    one.gpu("G", resource="node-1")
    one.gpu("H", resource="node-2")
    one.gpu("I", resource="node-3")
    one.charge("24", at(), at("24:00"), resource="node-1")
    one.charge("48", at(day=3), at(day=4), resource="node-2", ProviderName="Google Cloud")
    one.charge("72", at(day=2), at(day=3), resource="node-3", ProviderName="Google Cloud")
    watched(one, at(day=5))
    # node-1 goes on from day 2, when its own provider's bill ends; node-3 was off on day 3, says the bill
    assert days(one.run()) == {day(2): 24, day(3): 24, day(4): 24 + 48 + 72}


def test_an_open_day_is_billed_up_to_the_end_of_the_bill_and_provisional_after_it() -> None:
    """The day of today: its bill ends at ten, it is two in the afternoon."""
    one = node()
    one.gpu()
    hours(one, "60", at(), at("10:00"))
    one.usage(at(), at("14:00"), 1, every=60)
    one.request(at("09:30"), at("10:30"), user="ann")
    one.request(at("12:00"), at("12:30"), user="bob")
    ran = one.run(horizon=at("14:00"))
    assert ran.ledger("provisional") == {False: 600, True: 240}
    assert ran.ledger("user_id", "provisional", where="kind = 'direct'") == {
        ("ann", False): pytest.approx(Decimal(30), abs=NEARLY),
        ("ann", True): pytest.approx(Decimal(30), abs=NEARLY),
        ("bob", True): pytest.approx(Decimal(30), abs=NEARLY),
    }
    assert ran.sums("select provisional, sum(cost) from done.gpu_days group by all") == {(False,): 600, (True,): 240}
    assert ran.sums("select provisional, sum(money(pico)) from pool_days group by all") == {(False,): 600, (True,): 240}


def test_provisional_cost_is_in_the_currency_that_the_resource_is_billed_in() -> None:
    one = node()
    one.gpu("G", resource="node-1")
    one.gpu("H", resource="node-2")
    hours(one, "1", at(), at("24:00"), resource="node-1")
    hours(one, "2", at(), at("24:00"), resource="node-2", currency="EUR")
    watched(one, at(day=3))
    assert days(one.run(), "BillingCurrency") == {(day(2), "USD"): 24, (day(2), "EUR"): 48}


# Model APIs

PRICE = {
    "provider": "OpenAI",
    "model": "m*",
    "input": "1",
    "cached_input": "0.1",
    "cache_write": "1.25",
    "cache_write_1h": "2",
    "output": "10",
}


def api(prices: list[dict[str, Any]] | None = None, *pools: dict[str, Any]) -> World:
    """An API whose prices are known and whose bill is not there yet."""
    return World(*(pools or (API_POOL,)), prices=[PRICE] if prices is None else prices, **FAST)


def call(world: World, user: str, start: datetime | None = None, **more: Any) -> None:
    """A request to the API: a million input tokens unless it says other."""
    moment = start or at("12:00")
    values = {"provider": "openai", "replica": None, "input_tokens": MILLION, **more}
    world.request(moment, moment + timedelta(seconds=10), user=user, **values)


def test_without_a_bill_each_user_pays_price_times_tokens_by_class_marked_provisional() -> None:
    one = api()
    call(
        one,
        "ann",
        input_tokens=10 * MILLION,
        cached_input_tokens=4 * MILLION,
        cache_write_tokens=3 * MILLION,
        cache_write_1h_tokens=MILLION,
        output_tokens=2 * MILLION,
        reasoning_tokens=MILLION,
    )
    call(one, "bob")
    call(one, "eve", gateway_cache_hit=True)
    ran = one.run()
    # 3 M uncached at 1, 4 M at 0.1, 2 M at 1.25, 1 M at 2, 2 M at 10
    assert ran.ledger("user_id", "kind", "provisional", "estimated", "BillingCurrency") == {
        ("ann", "direct", True, False, "USD"): Decimal("27.9"),
        ("bob", "direct", True, False, "USD"): 1,
    }
    assert ran.requests("tokens") == {
        row["request_id"]: cost for row, cost in zip(one.rows["requests"][:2], (Decimal("27.9"), 1), strict=True)
    }


def test_classes_without_a_price_cost_what_input_costs_and_a_request_may_cost_by_itself() -> None:
    one = api([{"model": "m", "input": "2", "output": "0", "request": "0.5"}])
    call(one, "ann", input_tokens=3 * MILLION, cached_input_tokens=MILLION, cache_write_tokens=MILLION)
    assert one.run().users() == {"ann": Decimal("6.5")}


def test_prices_of_an_api_are_dated() -> None:
    one = api([PRICE, {**PRICE, "input": "3", "valid_from": day(2)}])
    for number in (1, 2, 3):
        call(one, "ann", at("12:00", number))
    assert days(one.run()) == {day(1): 1, day(2): 3, day(3): 3}


def test_a_model_without_a_price_costs_nothing_that_is_known_and_is_listed() -> None:
    one = api()
    call(one, "ann")
    call(one, "eve", model="brand-new")
    call(one, "eve", model="brand-new")
    ran = one.run()
    assert ran.ledger("user_id") == {"ann": 1}
    assert unpriced(ran) == [("brand-new", 2)]


def unpriced(ran: Ran) -> list[tuple[Any, ...]]:
    return ran.ask("select key, requests from done.unmatched_days where subject = 'model without a price'")


def test_the_bill_takes_the_place_of_the_estimate() -> None:
    one = api()
    call(one, "ann", input_tokens=3 * MILLION)
    call(one, "bob")
    call(one, "bob", at("12:00", 2))
    one.charge(6, at(), at("24:00"), ProviderName="OpenAI", resource=None)
    ran = one.run()
    assert ran.ledger("day", "user_id", "provisional") == {
        (day(1), "ann", False): Decimal("4.5"),  # by the bill, in proportion to the prices
        (day(1), "bob", False): Decimal("1.5"),
        (day(2), "bob", True): 1,
    }


def test_of_a_billed_day_what_priced_models_do_not_cost_is_left_for_models_without_a_price() -> None:
    one = api()
    one.charge(10, at(), at("24:00"), ProviderName="OpenAI", resource=None)
    call(one, "ann", input_tokens=3 * MILLION)
    call(one, "eve", model="brand-new")
    ran = one.run()
    assert ran.ledger("kind", "user_id", "model", "provisional") == {
        ("direct", "ann", "m", False): 3,
        ("unpriced", None, "brand-new", False): 7,
    }
    assert unpriced(ran) == [("brand-new", 1)]


def test_priced_models_share_no_more_than_the_bill() -> None:
    one = api()
    one.charge(2, at(), at("24:00"), ProviderName="OpenAI", resource=None)
    call(one, "ann", input_tokens=3 * MILLION)
    call(one, "bob")
    call(one, "eve", model="brand-new")
    assert one.run().ledger("kind", "user_id") == {
        ("direct", "ann"): Decimal("1.5"),
        ("direct", "bob"): Decimal("0.5"),
    }


def test_what_the_bill_speaks_of_is_never_estimated_beside_it() -> None:
    """Requests before the end of the bill are the bill's, also when it ends inside a day."""
    one = api()
    one.charge(5, at("00:00"), at("12:00"), ProviderName="OpenAI", resource=None)
    call(one, "ann", at("11:59"))
    call(one, "bob", at("12:00"), input_tokens=2 * MILLION)
    ran = one.run(horizon=at("18:00"))
    assert ran.ledger("provisional") == {False: 5, True: 2}
    assert ran.ledger("user_id", where="provisional") == {"bob": 2}


def test_a_purchase_or_a_tax_does_not_end_the_bill_of_an_api() -> None:
    one = api()
    one.charge(9, at(day=5), at(day=6), ProviderName="OpenAI", resource=None, ChargeCategory="Tax")
    call(one, "ann")
    assert days(one.run()) == {day(1): 1}


def test_requests_of_own_replicas_are_no_use_of_an_api() -> None:
    one = api([PRICE], {"name": "llm", "kind": "api"}, GPU_POOL)
    one.gpu()
    call(one, "ann")
    call(one, "bob", replica="r")
    assert one.run().ledger("user_id", where="pool = 'llm'") == {"ann": 1}


def test_a_request_is_estimated_in_one_pool_only() -> None:
    """A pool for all vendors beside one for OpenAI: its requests are not paid twice."""
    rest = {"name": "other-vendors", "kind": "api", "match": {"ProviderName": "Other"}}
    one = api([{"model": "m", "input": "1", "output": "10"}], rest, API_POOL)
    call(one, "ann")
    call(one, "bob", provider="mistral", input_tokens=2 * MILLION)
    call(one, "eve", model="brand-new")
    ran = one.run()
    assert ran.ledger("pool", "user_id") == {("llm", "ann"): 1, ("other-vendors", "bob"): 2}
    assert unpriced(ran) == [("brand-new", 1)]


def test_of_two_pools_for_a_provider_the_one_whose_bill_reaches_furthest_is_estimated() -> None:
    """Use and support of one vendor: both bills are its users', but only the use goes on by price."""
    support = {"name": "support", "kind": "api", "provider": "openai", "match": {"ServiceName": "Support"}}
    one = api([PRICE], support, API_POOL)
    one.charge(1, at(), at("24:00"), ProviderName="OpenAI", resource=None, ServiceName="Support")
    one.charge(4, at(day=2), at(day=3), ProviderName="OpenAI", resource=None)
    for number in (1, 2, 3):
        call(one, "ann", at("12:00", number))
    assert one.run().ledger("day", "pool", "provisional") == {
        (day(1), "support", False): 1,
        (day(2), "llm", False): 4,
        (day(3), "llm", True): 1,
    }


def test_a_name_that_an_own_replica_had_once_hides_no_use_of_an_api() -> None:
    one = api([PRICE], API_POOL, GPU_POOL)
    one.gpu("G", "gateway-1", valid_to=at("24:00"))
    call(one, "ann", at("12:00", 1), replica="gateway-1")
    call(one, "bob", at("12:00", 2), replica="gateway-1")
    assert one.run().ledger("day", "user_id", where="pool = 'llm'") == {(day(2), "bob"): 1}


def test_requests_of_the_hour_that_has_begun_take_nothing_of_what_was_used_before_it() -> None:
    one = api()
    call(one, "ann", at("12:00"))
    call(one, "bob", at("14:10"))
    assert one.run(horizon=at("14:00")).ledger("user_id") == {"ann": 1}


def test_prices_in_two_currencies_are_never_mixed() -> None:
    other = {**PRICE, "provider": "mistral", "input": "2", "currency": "EUR"}
    one = api([PRICE, other], API_POOL, {"name": "mistral", "kind": "api", "provider": "Mistral"})
    call(one, "ann")
    call(one, "bob", provider="mistral")
    assert one.run().ledger("user_id", "BillingCurrency") == {("ann", "USD"): 1, ("bob", "EUR"): 2}
    for prices, pool in (
        ([PRICE, {**PRICE, "currency": "EUR"}], API_POOL),
        ([PRICE, other], {**API_POOL, "provider": None}),
    ):
        with pytest.raises(ConfigError, match="EUR and USD meet in the pool 'llm'"):
            api(prices, pool).config()


# List prices, the last resort

P5 = {"provider": "AWS", "region": "us-east-1", "instance_type": "p5.48xlarge"}


def test_a_resource_that_nobody_priced_takes_the_list_price_of_its_instance_on_that_day() -> None:
    one = node()
    for gpu in ("G", "H"):
        one.gpu(gpu, **P5)
    one.gpu("other", resource="node-2", **{**P5, "instance_type": "p4d.24xlarge"})  # has no price
    one.list_price("p5.48xlarge", "80", day(2), region="us-east-1", valid_to=day(4))
    one.list_price("p5.48xlarge", "60", day(5), region="us-east-1")
    one.list_price("p5.48xlarge", "1", region="eu-west-1")
    one.list_price("p5.48xlarge", "2", region="us-east-1", pricing_category="spot")
    one.list_price("p5.48xlarge", "3", region="us-east-1", covers="gpu")
    watched(one, at(day=6))
    ran = one.run()
    # two GPUs at an eighth of the instance; nothing before the price and in its gap: the nearest is not taken
    assert days(ran) == {day(2): 480, day(3): 480, day(5): 360}
    assert set(ran.ask("select basis, description from provisional_resources")) == {
        (
            "list price",
            f"list price of p5.48xlarge in us-east-1 since {day(2)} from prices.csv: 10 USD per GPU and hour",
        ),
        (
            "list price",
            f"list price of p5.48xlarge in us-east-1 since {day(5)} from prices.csv: 7.5 USD per GPU and hour",
        ),
    }


@pytest.mark.heavy
def test_a_configured_price_wins_over_a_list_price_from_the_day_that_it_begins() -> None:
    one = node([{"gpu_hour": "2", "pool": "gpu", "valid_from": day(3)}])
    one.gpu(**P5)
    one.list_price("p5.48xlarge", "8")
    watched(one, at(day=5))
    ran = one.run()
    assert days(ran) == {day(1): 24, day(2): 24, day(3): 48, day(4): 48}
    assert dict(ran.ask("select basis, count(*) from provisional_resources group by 1")) == {
        "list price": 2,
        "configured price": 2,
    }


def test_a_bill_wins_over_a_list_price_and_takes_its_place_exactly() -> None:
    one = node()
    one.gpu(**P5)
    one.list_price("p5.48xlarge", "8")
    watched(one, at(day=3))
    assert days(one.run()) == {day(1): 24, day(2): 24}
    hours(one, "0.7", at(), at("24:00"))
    ran = one.run()
    assert ran.ledger("day", where="not provisional") == {day(1): Decimal("16.8")}
    assert days(ran) == {day(2): Decimal("16.8")}  # at the rate that was billed
    assert ran.ask("select distinct basis from provisional_resources") == [("last billed day",)]
    hours(one, "0.7", at(day=2), at(day=3))
    ran = one.run()
    assert (ran.total(), days(ran)) == (Decimal("33.6"), {})


@pytest.mark.heavy
def test_a_list_price_of_the_region_goes_before_one_of_all_and_the_projects_currency_before_others() -> None:
    one = World(GPU_POOL, project={"currency": "EUR"}, **FAST)
    one.gpu(**P5)
    one.list_price("p5.48xlarge", "8")
    one.list_price("p5.48xlarge", "16", region="us-east-1")
    one.list_price("p5.48xlarge", "24", region="us-east-1", currency="EUR")
    one.list_price("p5.48xlarge", "40", currency="EUR")
    watched(one, at("02:00"))
    assert one.run().ledger("BillingCurrency") == {"EUR": 6}


@pytest.mark.heavy
def test_two_list_prices_for_one_day_are_none() -> None:
    one = node()
    one.gpu(**P5)
    one.list_price("p5.48xlarge", "8", sku="A")
    one.list_price("p5.48xlarge", "9", sku="B")
    one.list_price("p5.48xlarge", "16", day(2))
    watched(one, at(day=3))
    assert days(one.run()) == {day(2): 48}


def test_a_list_price_needs_a_rule_that_takes_the_resource_into_a_pool_of_gpus() -> None:
    elsewhere = {"name": "eu", "kind": "gpu", "match": {"RegionId": "eu-*"}}
    rest = {"name": "rest", "kind": "shared"}
    one = World(elsewhere, {**GPU_POOL, "match": {"SkuPriceDetails.InstanceType": "p5.*"}}, rest, **FAST)
    one.gpu(**P5)
    one.gpu("E", resource="node-2", **{**P5, "region": "eu-west-1"})
    one.gpu("R", resource="node-3", **{**P5, "instance_type": "g5.xlarge"})
    one.list_price("p5.48xlarge", "8")
    one.list_price("g5.xlarge", "1", gpus=1)
    watched(one, at("02:00"))
    assert one.run().ledger("pool") == {"gpu": 2, "eu": 2}
