"""Whatever is billed, logged and measured: the ledger is the bill, to the last decimal."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.farthing.build.test_fairness import few
from tests.farthing.build.world import DAY, World, at, spread

HORIZON = at("13:00", 2)
POOL_OF = {
    "node-1": "gpu",
    "node-2": "gpu",
    "train-1": "training",
    "vendor": "api",
    "disk": "disk",
    "team": "team",
    "other": "unassigned",
}
PICO = Decimal("0.000000000001")
seconds = st.integers(-3600, 2 * 86400).map(lambda second: at() + timedelta(seconds=second))
money = st.integers(-50 * 10**12, 50 * 10**12).map(lambda pico: Decimal(pico) * PICO)
lengths = st.sampled_from([0, 1, 17 * 60, 3600, 7 * 3600 + 1, 86400, 40 * 86400])


def _pools(draw: st.DrawFn) -> list[dict[str, Any]]:
    driver = draw(st.sampled_from(["cost", "requests", "tokens", "users", "metric", "fixed"]))
    settings_of: dict[str, dict[str, Any]] = {
        "metric": {"metric": "gigabytes"},
        "fixed": {"weights": {"red": "1.5", "blue": 2}},
    }
    more = settings_of.get(driver, {})
    return [
        {
            "name": "gpu",
            "kind": "gpu",
            "match": {"ResourceId": "node-*"},
            "idle": draw(st.sampled_from(["separate", "proportional", "owner"])),
            "method": draw(st.sampled_from(["phase_time", "gpu_seconds", "tokens", "requests"])),
        },
        {"name": "training", "kind": "training", "match": {"ResourceId": "train-*"}},
        {"name": "api", "kind": "api", "match": {"ResourceId": "vendor"}},
        {"name": "disk", "kind": "shared", "match": {"ResourceId": "disk"}, "driver": driver, **more},
        {"name": "team", "kind": "owned", "match": {"ResourceId": "team"}, "owner": "Tags.team"},
    ]


@st.composite
def worlds(draw: st.DrawFn, least: Decimal | None = None) -> World:
    """A day and a half in which anything may be missing, overlap, or cross an hour, a midnight, the horizon."""
    world = World(*_pools(draw), attribution={"cell_seconds": 60, "law_minimum_requests": 20})
    for _ in range(draw(st.integers(1, 8))):
        start = at() + timedelta(minutes=draw(st.integers(-600, 3 * 1440)))
        world.charge(
            draw(money if least is None else money.map(abs)),
            start,
            start + timedelta(seconds=draw(lengths)),
            resource=draw(st.sampled_from(sorted(POOL_OF))),
            currency=draw(st.sampled_from(["USD", "EUR"])),
            invoice=draw(st.sampled_from(["I", "II", None])),
            month=draw(st.sampled_from([DAY, DAY.replace(month=9)])),
            Tags=draw(st.sampled_from(['{"team": "red"}', '{"team": " "}', None])),
        )
    _gpus(draw, world)
    for _ in range(draw(st.integers(0, 5))):
        gpu, start = draw(st.sampled_from(["A", "B", "M1", "T", "stranger"])), draw(seconds)
        end = start + timedelta(seconds=draw(st.integers(1, 9000)))
        covered = draw(st.floats(0, 1))
        busy = draw(st.floats(0, 1)) * covered
        world.usage(start, end, busy, gpu=gpu, covered=covered, every=draw(st.sampled_from([57, 600, None])))
    for number in range(draw(st.integers(0, 6))):
        _request(draw, world, number)
    for _ in range(draw(st.integers(0, 2))):
        start = draw(seconds)
        places: list[dict[str, Any]] = [
            {"gpu_uuids": "T"},
            {"gpu_uuids": "A, B"},
            {"node_id": "train-1", "gpu_count": 1},
        ]
        where = draw(st.sampled_from(places))
        until = draw(st.sampled_from([None, start + timedelta(seconds=draw(st.integers(1, 40000)))]))
        world.job(start, until, team_id="red", **where)
    world.metric("gigabytes", "team", "red", "0.000001")
    world.metric("gigabytes", "customer", "acme", 3)
    return world


def _gpus(draw: st.DrawFn, world: World) -> None:
    if draw(st.booleans()):
        world.gpu("A", "r", team_id="red")
        world.gpu("B", "r", valid_to=at("05:30", 2))
    if draw(st.booleans()):
        world.gpu("M1", "s", resource="node-2", mig_profile="3g.40gb", parent_gpu_uuid="M", gpu_model="A100")
        world.gpu("M2", None, resource="node-2", mig_profile="1g.10gb", parent_gpu_uuid="M", gpu_model="A100")
    if draw(st.booleans()):
        world.gpu("T", None, resource="train-1", team_id="blue")
        world.gpu("T2", None, resource="train-1", valid_from=at("03:20"))


def _request(draw: st.DrawFn, world: World, number: int) -> None:
    start = draw(seconds)
    life = draw(st.integers(0, 20000))
    first = draw(st.none() | st.integers(0, life).map(lambda second: start + timedelta(seconds=second)))
    given_tokens = draw(st.booleans())
    world.request(
        start,
        draw(st.sampled_from([None, start + timedelta(seconds=life)])),
        first=first,
        user=draw(st.sampled_from(["ann", "bob", None])),
        replica=draw(st.sampled_from(["r", "s", "ghost", None])),
        id=f"q{number}",
        input_tokens=draw(st.integers(0, 5000)) if given_tokens else None,
        output_tokens=draw(st.integers(0, 500)) if given_tokens else None,
        gateway_cache_hit=draw(st.sampled_from([True, None])),
    )


@settings(few, max_examples=2 * few.max_examples)
@given(world=worlds())
def test_the_ledger_of_each_pool_and_day_is_the_charges_spread(world: World) -> None:
    ran = world.run(horizon=HORIZON)
    ledger = ran.sums("select day, pool, BillingCurrency, sum(cost) from done.cost_ledger group by all")
    assert ledger == ran.sums("select day, pool, BillingCurrency, money(sum(pico)) from pool_days group by all")

    exact: dict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
    for (day, resource, currency), cost in spread(world, HORIZON).items():
        exact[day, POOL_OF[resource], currency] += cost
    billed = ran.sums(
        "select day, pool, BillingCurrency, sum(cost) from done.cost_ledger where not provisional group by all"
    )
    for key in exact.keys() | billed.keys():
        # a charge that is cut by days loses less than a pico-unit at each cut
        assert abs(exact[key] - Fraction(billed.get(key, 0))) <= 2 * len(world.rows["charges"]) * Fraction(PICO)

    landed: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in world.rows["charges"]:
        landed[row["billing_month"], row["InvoiceId"], row["BillingCurrency"]] += row["EffectiveCost"]
    assert {key: cost for key, cost in landed.items() if cost} == ran.sums(
        "select billing_month, InvoiceId, BillingCurrency, money(sum(pico)) from (select * from pool_days where not"
        " provisional union all by name select * exclude (pico, accrued_pico), accrued_pico as pico from bill_totals)"
        " group by all"
    )

    direct = ran.sums(
        "select day, pool, BillingCurrency, sum(cost) from done.cost_ledger join settings.pools using (pool)"
        " where cost_ledger.kind = 'direct' and pools.kind in ('gpu', 'api') and idle <> 'owner' group by all"
    )
    assert direct == ran.sums(
        "select day, pool, BillingCurrency, sum(cost) from done.request_costs join settings.pools using (pool)"
        " where pools.method = request_costs.method and idle <> 'owner' group by all"
    )


@few
@given(world=worlds(least=Decimal(0)))
def test_without_a_credit_no_line_is_negative_and_no_gpu_costs_less_than_nothing(world: World) -> None:
    ran = world.run(horizon=HORIZON)
    assert ran.ask("select * from done.cost_ledger where cost < 0") == []
    assert ran.ask("select * from done.request_costs where cost < 0") == []
    parts = ("direct_cost", "training_cost", "idle_cost", "unobserved_cost", "unexplained_cost")
    slack = "-0.000000001::decimal(38, 12)"  # a replica's direct cost is shared by its GPUs by division
    assert ran.ask(f"select * from done.gpu_days where least({', '.join(parts)}) < {slack}") == []
