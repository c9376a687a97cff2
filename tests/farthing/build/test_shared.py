"""Pools, drivers, owners and identities by hand-worked worlds: who carries what nobody uses alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from farthing.errors import ConfigError
from tests.farthing.build.world import GPU_POOL, World, at

FAST = {"attribution": {"cell_seconds": 60, "law_minimum_requests": 10_000}}
DISK = {"name": "disk", "kind": "shared", "match": {"ResourceId": "disk"}}


def shared(driver: str, cost: int | str = 10, **pool: Any) -> World:
    """A shared pool that costs `cost`, and a day with requests of ann (3, of two customers) and bob (1)."""
    world = World({**DISK, "driver": driver, **pool}, **FAST)
    world.charge(cost, resource="disk")
    for customer in ("acme", "acme", "zeta"):
        world.request(user="ann", customer_id=customer, replica=None, input_tokens=100, output_tokens=10)
    world.request(user="bob", customer_id="acme", replica=None, input_tokens=0, output_tokens=10, team_id="blue")
    return world


def test_driver_requests_counts_requests() -> None:
    assert shared("requests").run().ledger("user_id", "customer_id") == {
        ("ann", "acme"): 5,
        ("ann", "zeta"): Decimal("2.5"),
        ("bob", "acme"): Decimal("2.5"),
    }


def test_driver_tokens_weighs_tokens_by_class() -> None:
    weights = {"input": 1, "output": 10}  # ann 200 each, bob 100: 700
    assert shared("tokens", 7, token_weights=weights).run().ledger("user_id") == {"ann": 6, "bob": 1}


def test_driver_users_counts_each_user_once_whomever_they_work_for() -> None:
    lines = shared("users", 4).run().ledger("user_id", "customer_id", "team_id")
    assert lines == {("ann", "acme", None): 1, ("ann", "zeta", None): 1, ("bob", "acme", "blue"): 2}


def test_driver_cost_follows_direct_cost_in_the_same_currency() -> None:
    world = shared("cost", 8)
    world.pools = [{"name": "api", "kind": "api", "match": {"ResourceId": "vendor"}}, *world.pools]
    world.charge(4, resource="vendor")  # input 300 x 10 + 30 x 50 = 4500 of ann, 500 of bob
    world.charge(1, resource="disk", currency="EUR")  # no direct cost in euros: nothing to follow
    ran = world.run()
    assert ran.ledger("user_id", where="pool = 'disk' and BillingCurrency = 'USD'") == {
        "ann": Decimal("7.2"),
        "bob": Decimal("0.8"),
    }
    assert ran.kinds("BillingCurrency = 'EUR'") == {"unassigned": 1}


@pytest.mark.parametrize("dimension", ["user_id", "team_id", "customer_id", "feature", "environment", "model"])
def test_driver_metric_takes_the_rows_of_its_day_and_name(dimension: str) -> None:
    world = shared("metric", 8, metric="vectors")
    name = dimension.removesuffix("_id")
    world.metric("vectors", name, "one", "0.25")
    world.metric("vectors", name, "two", "0.75")
    world.metric("gigabytes", name, "one", 99)
    world.metric("vectors", name, "one", 99, day=at(day=2).date())
    assert world.run().ledger(dimension) == {"one": 2, "two": 6}


def test_a_metric_of_an_unknown_dimension_is_nobodys_and_drives_nothing() -> None:
    world = shared("metric", 8, metric="vectors")
    world.metric("vectors", "users", "ann", 5)
    assert world.run().kinds() == {"unassigned": 8}


@pytest.mark.parametrize("driver", ["cost", "metric", "users", "tokens", "requests"])
def test_a_pool_of_a_weak_currency_stays_inside_the_engines_integers(driver: str) -> None:
    world = shared(driver, 98_765_432_109, **({"metric": "vectors"} if driver == "metric" else {}))
    world.rows["charges"][0]["BillingCurrency"] = "IDR"
    world.pools = [{"name": "api", "kind": "api", "match": {"ResourceId": "vendor"}}, *world.pools]
    world.charge(12_345_678_901, resource="vendor", currency="IDR")
    world.metric("vectors", "team", "blue", "12345678.5")
    assert world.run().total() == 98_765_432_109 + 12_345_678_901


def test_driver_fixed_takes_the_weights_of_the_configuration() -> None:
    lines = shared("fixed", 7, weights={"red": "0.5", "blue": 3}).run().ledger("kind", "team_id")
    assert lines == {("shared", "red"): 1, ("shared", "blue"): 6}


@pytest.mark.parametrize(
    ("driver", "pool"),
    [
        ("cost", {}),
        ("requests", {}),
        ("tokens", {}),
        ("users", {}),
        ("metric", {"metric": "vectors"}),
        ("fixed", {"weights": {"red": 0}}),
    ],
)
def test_a_day_without_its_driver_is_unassigned(driver: str, pool: dict[str, Any]) -> None:
    world = shared(driver, 7, **pool)
    world.rows["requests"].clear()
    assert world.run().kinds() == {"unassigned": 7}


def test_weights_that_are_all_zero_leave_the_pool_unassigned() -> None:
    tokens = shared("tokens", 7)
    for request in tokens.rows["requests"]:
        request.update(input_tokens=0, output_tokens=None)
    assert tokens.run().kinds() == {"unassigned": 7}
    metric = shared("metric", 7, metric="vectors")
    metric.metric("vectors", "team", "red", 0)
    metric.metric("vectors", "team", "blue", -3)
    assert metric.run().kinds() == {"unassigned": 7}


def test_a_shared_sum_that_does_not_divide_telescopes_to_the_whole() -> None:
    for cost in ("0.000000000001", "-0.000000000002", "10", "-1000000000.000000000001"):
        ran = shared("requests", cost).run()
        assert ran.total() == Decimal(cost)
        assert all(line * Decimal(cost) >= 0 for line in ran.users("true").values())


def test_an_owned_pool_belongs_to_the_team_of_its_tag_and_to_nobody_without_one() -> None:
    world = World({"name": "own", "kind": "owned", "owner": "Tags.team", "match": {"ServiceName": "Notebook*"}}, **FAST)
    for tags, cost in (('{"team": "red"}', 1), ('{"team": " "}', 2), ('{"x": 1}', 4), (None, 8), ("no json", 16)):
        world.charge(cost, ServiceName="Notebooks", Tags=tags)
    world.charge(32, ServiceName="else")
    assert world.run().ledger("pool", "kind", "team_id") == {
        ("own", "direct", "red"): 1,
        ("own", "unassigned", None): 30,
        ("unassigned", "unassigned", None): 32,
    }


def test_an_owned_pool_may_name_its_team() -> None:
    world = World({"name": "own", "kind": "owned", "owner": "team:research"}, **FAST)
    world.charge(3)
    assert world.run().ledger("kind", "team_id") == {("direct", "research"): 3}


def test_the_first_rule_that_matches_takes_a_charge() -> None:
    world = World(
        {"name": "one", "kind": "shared", "match": {"ResourceId": ["disk-?", "x"], "Tags.env": "prod"}},
        {"name": "two", "kind": "shared", "match": {"ResourceId": "disk*"}},
        {"name": "three", "kind": "shared", "match": {"ResourceId": "d.sk"}},
        **FAST,
    )
    for cost, resource, tags in (
        (1, "disk-1", '{"env": "prod"}'),
        (2, "disk-1", '{"env": "test"}'),
        (4, "x", '{"env": "prod"}'),
        (8, "disk-10", '{"env": "prod"}'),
        (16, "Disk", None),
        (32, None, '{"env": "prod"}'),
        (64, "disk\n", None),
    ):
        world.charge(cost, resource=resource, Tags=tags)
    assert world.run().ledger("pool") == {"one": 5, "two": 74, "unassigned": 48}


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({"match": {"ServiceNam": "x"}}, "'ServiceNam' is no column of a charge. Fix: did you mean 'ServiceName'?"),
        ({"match": {"Label.team": "x"}}, "'Label.team' is no column of a charge."),
        ({"match": {"qqq": "x"}}, "FOCUS columns, or Tags.KEY."),
        ({"kind": "owned", "owner": "Tag.team"}, "'Tag.team' is no column of a charge."),
        ({"driver": "fixed", "weights": {"red": "-1"}}, "weight -1 of 'red' is negative"),
        ({"driver": "fixed", "weights": {"red": "0.1234567"}}, "more than six decimals"),
    ],
)
def test_a_wrong_rule_is_said_in_words(pool: dict[str, Any], words: str) -> None:
    world = World({"name": "p", "kind": "shared", **pool}, **FAST)
    world.charge(1)
    with pytest.raises(ConfigError) as caught:
        world.run()
    assert words in str(caught.value)
    assert "[pools.p" in str(caught.value)


def api(**pool: Any) -> World:
    return World({"name": "api", "kind": "api", "match": {"ResourceId": "vendor"}, **pool}, **FAST)


def test_an_api_bill_is_shared_by_tokens_and_by_nobody_where_nobody_asked() -> None:
    world = api(provider="OpenAI")
    world.charge(9, resource="vendor")
    world.charge(5, at("10:00", 2), resource="vendor")
    tokens: dict[str, Any] = {
        "input_tokens": 130,
        "cached_input_tokens": 30,
        "cache_write_tokens": 50,
        "output_tokens": 10,
    }
    world.request(user="ann", provider="openai", replica=None, **tokens)  # 50 x 10 + 30 + 50 x 12 + 10 x 50 = 1630
    world.request(user="bob", provider="OPENAI", replica=None, input_tokens=163)
    world.request(user="eve", provider="anthropic", replica=None, input_tokens=163)
    world.request(user="own", provider="openai", replica="r", input_tokens=163)
    world.request(user="hit", provider="openai", replica=None, input_tokens=163, gateway_cache_hit=True)
    world.gpu()
    ran = world.run()
    lines = ran.ledger("day", "kind", "user_id")
    assert lines == {
        (at().date(), "direct", "ann"): Decimal("4.5"),
        (at().date(), "direct", "bob"): Decimal("4.5"),
        (at(day=2).date(), "unexplained", None): 5,
    }


def test_a_request_whose_usage_is_missing_takes_nothing_of_an_api_bill_and_is_counted() -> None:
    world = api()
    world.charge(9, resource="vendor")
    world.request(user="ann", replica=None, input_tokens=1)
    world.request(user="bob", replica=None, usage_quality="missing")
    ran = world.run()
    assert ran.users() == {"ann": 9}
    assert ran.quality("requests", "with token usage") == (1, 2)


def test_a_key_that_changes_hands_in_the_middle_of_a_day_is_charged_to_each_holder() -> None:
    world = api()
    world.charge(9, resource="vendor")
    world.identity("key-1", "ann", team_id="red", customer_id="acme")
    world.identity("key-1", "bob", at("12:00"), team_id="blue")
    world.identity("key-1", "eve", at("18:00"), valid_to=at("19:00"))
    for hour in ("11:59:59.999999", "12:00", "18:30", "19:30"):
        world.request(at(hour), user="key-1", replica=None, input_tokens=1)
    world.request(at("20:00"), user="zoe", replica=None, input_tokens=1, team_id="own")
    world.request(at("11:00"), user="key-1", replica=None, input_tokens=1, team_id="said")
    ran = world.run()
    assert ran.ledger("user_id", "team_id", "customer_id") == {
        ("ann", "red", "acme"): Decimal("1.5"),
        ("ann", "said", "acme"): Decimal("1.5"),
        ("bob", "blue", None): Decimal("1.5"),
        ("eve", None, None): Decimal("1.5"),
        ("key-1", None, None): Decimal("1.5"),  # nobody held it: the id itself, not invented
        ("zoe", "own", None): Decimal("1.5"),
    }
    assert ran.quality("requests", "with a user in identities") == (4, 6)


def test_tags_become_dimensions_of_the_ledger() -> None:
    world = api()
    world.tables["ledger"] = {"dimensions": ["squad", "app.v2"]}
    world.charge(4, resource="vendor")
    for tags in ('{"squad": "a", "app.v2": "x"}', '{"squad": "b"}', None, "no json"):
        world.request(user="ann", replica=None, input_tokens=1, tags=tags)
    assert world.run().ledger("dimensions") == {
        '{"squad":"a","app.v2":"x"}': 1,
        '{"squad":"b","app.v2":null}': 1,
        '{"squad":null,"app.v2":null}': 2,
    }


def test_nothing_is_added_across_currencies() -> None:
    world = World({**DISK, "driver": "requests"}, GPU_POOL, **FAST)
    world.charge(3, resource="disk")
    world.charge(5, resource="disk", currency="EUR")
    world.charge(7)
    world.charge(9, currency="EUR")
    world.gpu()
    world.usage(at("10:00"), at("11:00"), 1, every=60)
    world.request(at("10:00"), at("11:00"))
    ran = world.run()
    totals = ran.ledger("pool", "BillingCurrency")
    assert totals == {("disk", "USD"): 3, ("disk", "EUR"): 5, ("gpu", "USD"): 7, ("gpu", "EUR"): 9}
    assert ran.sums("select BillingCurrency, cost from done.gpu_days") == {("USD",): 7, ("EUR",): 9}


@pytest.mark.parametrize("column", ["EffectiveCost", "BilledCost"])
def test_a_source_says_which_cost_column_it_is_attributed_by(column: str) -> None:
    world = World(sources={"bill": {"kind": "focus", "path": "*", "cost_column": column}})
    world.charge(3, EffectiveCost=Decimal(2))
    assert world.run().total() == (2 if column == "EffectiveCost" else 3)
