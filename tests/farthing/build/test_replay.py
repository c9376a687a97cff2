"""Bills that come two days late, day by day: what was known at each step, and what the bill made of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from farthing.lake import Lake
from farthing.lake.schemas import CHARGES
from tests.farthing.build.world import DAY, GPU_POOL, World, at, published

POOLS = (GPU_POOL, {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}})
PRICES = [
    {"gpu_hour": "2", "pool": "gpu"},
    {"provider": "openai", "model": "m", "input": "1", "output": "1"},
]
#: Days that the log speaks of, and how many days later their bill is there.
DAYS, LATE = 4, 2
USED = 6  # tokens of a day, in millions


def company() -> World:
    return World(*POOLS, prices=PRICES, attribution={"cell_seconds": 60, "law_minimum_requests": 10_000})


def log_of(number: int) -> World:
    """What the machines and the gateway said of a day."""
    world = company()
    world.usage(at(day=number), at(day=number + 1), 0.5, every=3600)
    world.request(at("08:00", number), at("09:00", number), user="ann")
    for user, millions in (("ann", 4), ("bob", 2)):
        noon = at("12:00", number)
        tokens: dict[str, Any] = {"input_tokens": millions * 1_000_000, "provider": "openai", "replica": None}
        world.request(noon, noon + timedelta(seconds=10), user=user, **tokens)
    return world


def bill_of(days: int, node: dict[int, int], model: dict[int, int]) -> World:
    """The bill of the month so far: `node` an hour, and `model` a day, by day."""
    world = company()
    for number in range(1, days + 1):
        for hour in range(24):
            world.charge(node[number], at(day=number) + timedelta(hours=hour))
        world.charge(model[number], at(day=number), at(day=number + 1), resource=None, ProviderName="OpenAI")
    return world


class Step:
    """What one build published: costs by day and pool."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        rows = con.execute(
            "select day(day), pool, coalesce(sum(cost) filter (where not provisional), 0),"
            " coalesce(sum(cost) filter (where provisional), 0) from cost_ledger group by all"
        ).fetchall()
        self.costs = {(number, pool): (billed, provisional) for number, pool, billed, provisional in rows}
        self.restated = con.execute(
            "select day(day), pool, billed_cost, provisional_cost, cost, change from restatements"
            " order by day, pool, stated_at"
        ).fetchall()
        [(self.difference, self.open)] = con.execute(
            "select sum(abs(difference)), sum(provisional_cost) from pool_month"
        ).fetchall()
        [(self.users,)] = con.execute("select coalesce(sum(provisional_cost), 0) from user_month").fetchall()


def replay(folder: Path, node: dict[int, int], model: dict[int, int]) -> Iterator[tuple[int, int, Step]]:
    """A build each morning: (days that the log speaks of, days that the bill speaks of, what was published)."""
    world, lake = company(), Lake(str(folder / "lake"))
    world.gpu()
    world.land(lake)
    for morning in range(1, DAYS + LATE + 1):
        if morning <= DAYS:
            log_of(morning).land(lake)
        billed = max(morning - LATE, 0)
        if billed:
            rows = bill_of(billed, node, model).arrow("charges")
            lake.replace(CHARGES, rows, where={"x_source": "bill", "billing_month": DAY}, load=f"bill-{morning}")
        with published(world.build(folder, now=at("06:00", morning + 1))) as con:
            yield min(morning, DAYS), billed, Step(con)


def of_day(costs: tuple[Decimal, Decimal] | None) -> Decimal:
    return sum(costs or (), Decimal(0))


def test_at_the_same_rate_each_past_day_costs_from_the_first_morning_what_its_bill_says_at_last(tmp_path: Path) -> None:
    node, model = dict.fromkeys(range(1, DAYS + 1), 2), dict.fromkeys(range(1, DAYS + 1), USED)
    for logged, billed, step in replay(tmp_path, node, model):
        assert step.costs == {
            (number, pool): ((cost, 0) if number <= billed else (0, cost))
            for number in range(1, logged + 1)
            for pool, cost in (("gpu", 48), ("llm", USED))
        }
        assert (step.difference, step.open) == (0, (logged - billed) * (48 + USED))
        assert all(change in (None, 0) for *_, change in step.restated)
    # said twice: before the bill, and with it
    assert step.restated == [
        row
        for number in range(1, DAYS + 1)
        for pool, cost in (("gpu", 48), ("llm", USED))
        for row in ((number, pool, 0, cost, cost, None), (number, pool, cost, 0, cost, 0))
    ]
    assert (step.open, step.users) == (0, 0)


def test_when_the_bill_says_other_than_expected_the_difference_is_restated(tmp_path: Path) -> None:
    """The node is dearer from day 3 on, and the API has a discount on day 2."""
    node, model = {1: 2, 2: 2, 3: 3, 4: 3}, {1: USED, 2: USED - 1, 3: USED, 4: USED}
    final = {(number, "gpu"): 24 * node[number] for number in node} | {(n, "llm"): cost for n, cost in model.items()}
    for logged, billed, step in replay(tmp_path, node, model):
        assert step.difference == 0
        assert {number for number, _ in step.costs} == set(range(1, logged + 1))
        for (number, pool), (confirmed, provisional) in step.costs.items():
            if number <= billed:
                assert (confirmed, provisional) == (final[number, pool], 0)
            else:
                expected = 24 * node[max(billed, 1)] if pool == "gpu" else USED
                assert (confirmed, provisional) == (0, expected)
    changes = [(number, pool, cost, change) for number, pool, _, _, cost, change in step.restated if change]
    assert changes == [
        (2, "llm", USED - 1, -1),
        (3, "gpu", 72, 24),
        (4, "gpu", 72, 24),  # still provisional then: the new rate is known from the bill of day 3
    ]
    last = {(number, pool): (billed, open_, cost) for number, pool, billed, open_, cost, _ in step.restated}
    assert last == {key: (cost, 0, cost) for key, cost in final.items()}
    assert (step.open, step.users) == (0, 0)


def test_a_build_that_knows_nothing_new_states_nothing_and_a_day_that_is_open_is_not_stated(tmp_path: Path) -> None:
    world, lake = company(), Lake(str(tmp_path / "lake"))
    world.gpu()
    world.land(lake)
    log_of(1).land(lake)
    bill_of(1, {1: 2}, {1: USED}).land(lake)

    def stated(hour: str, number: int) -> list[tuple[Any, ...]]:
        with published(world.build(tmp_path, now=at(hour, number))) as con:
            return con.execute("select day, pool, cost, change from restatements order by pool").fetchall()

    assert stated("12:00", 1) == []
    first = [(date(2026, 10, 1), "gpu", 48, None), (date(2026, 10, 1), "llm", USED, None)]
    assert stated("06:00", 2) == first
    assert stated("07:00", 2) == first


def test_after_several_statements_a_build_that_knows_nothing_new_compares_with_the_last_and_states_nothing(
    tmp_path: Path,
) -> None:
    world, lake = company(), Lake(str(tmp_path / "lake"))
    world.gpu()
    world.land(lake)
    log_of(1).land(lake)

    def stated(hour: str) -> list[tuple[Any, ...]]:
        with published(world.build(tmp_path, now=at(hour, 2))) as con:
            query = "select cost, change from restatements where pool = 'gpu' order by stated_at"
            return con.execute(query).fetchall()

    for hour, rate in (("06:00", 2), ("07:00", 3), ("08:00", 4)):
        rows = bill_of(1, {1: rate}, {1: USED}).arrow("charges")
        lake.replace(CHARGES, rows, where={"x_source": "bill", "billing_month": DAY}, load=f"bill-{rate}")
        said = stated(hour)
    assert said == [(48, None), (72, 24), (96, 24)]
    assert stated("09:00") == said
