"""Days that are computed in one set of statements are the days computed each by itself."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.farthing.build.world import Ran, World, at

DAYS = range(1, 7)
#: And the evening before, of which there is some telemetry.
ALL = len(DAYS) + 1
#: No bill has confirmed what comes after this day.
BILLED = 4
TABLES = (
    "cost_ledger",
    "request_costs",
    "usage_days",
    "trace_days",
    "gpu_days",
    "gpu_hours",
    "job_days",
    "quality_days",
    "unmatched_days",
)


def company(seed: int) -> World:
    """Six days in which every kind of pool has cost, most names come back each day, and much crosses midnight.

    On the first and the third day requests teach laws; on the others the same models are used and are too few.
    """
    dice = random.Random(seed)
    world = World(
        {"name": "gpu", "kind": "gpu", "match": {"ResourceId": "node-*"}, "when_unobserved": "residence"},
        {"name": "box", "kind": "gpu", "match": {"ResourceId": "box-*"}, "method": "tokens", "idle": "proportional"},
        {"name": "own", "kind": "gpu", "match": {"ResourceId": "own-*"}, "method": "gpu_seconds", "idle": "owner"},
        {"name": "train", "kind": "training", "match": {"ResourceId": "train-*"}},
        {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}},
        {"name": "other", "kind": "api", "provider": "mistral", "match": {"ProviderName": "Mistral"}},
        *(
            {"name": driver, "kind": "shared", "driver": driver, "match": {"ResourceId": driver}}
            for driver in ("cost", "requests", "tokens", "users")
        ),
        {"name": "metric", "kind": "shared", "driver": "metric", "metric": "size", "match": {"ResourceId": "metric"}},
        {
            "name": "fixed",
            "kind": "shared",
            "driver": "fixed",
            "weights": {"red": 1, "blue": 2},
            "match": {"ResourceId": "fixed"},
        },
        {"name": "team", "kind": "owned", "owner": "team:red", "match": {"ResourceId": "mine"}},
        prices=[
            {"provider": "openai", "model": "m", "input": "1", "output": "2"},
            {"provider": "openai", "model": "m", "input": "3", "output": "2", "valid_from": date(2026, 10, 2)},
            {"gpu_hour": "2", "resource": "own-*", "pool": "own"},
        ],
        attribution={"cell_seconds": 60, "law_minimum_requests": 60, "compare": ["tokens", "gpu_seconds"]},
        ledger={"dimensions": ["squad"]},
    )
    world.gpu("G1", "r1", resource="node-1", valid_to=at("12:00", 5))
    world.gpu("G2", "r1", resource="node-2")
    world.gpu("G2", "r2", resource="node-2", valid_from=at("12:00", 3))
    world.gpu("B", "b", resource="box-1", model="m", team_id="red")
    world.gpu("B2", "b2", resource="box-1", share=0.5)
    world.gpu("O", "o", resource="own-1", team_id="blue", model="m")
    world.gpu("P", "p", resource="own-2", gpu_model="A100", valid_from=at("00:00", 2))
    world.gpu("T1", None, resource="train-1")
    world.gpu("T2", None, resource="train-1", valid_from=at("00:00", 3))
    for name in (
        "node-1",
        "node-2",
        "box-1",
        "own-1",
        "train-1",
        "cost",
        "requests",
        "tokens",
        "users",
        "fixed",
        "mine",
    ):
        for day in range(1, BILLED + 1):
            currency = "EUR" if name == "node-2" and day > 2 else "USD"
            world.charge(dice.randint(1, 90), at(day=day), at(day=day + 1), resource=name, currency=currency)
    world.charge(Decimal("100.01"), at(), at(day=5), resource="metric")
    world.charge(17, at("10:00", 2), at("10:00", 4), resource="nobody's")
    world.charge(5, at("20:00", 3), at("04:00", 4), resource="node-without-inventory")
    for day in range(1, BILLED + 1):
        world.charge(day, at(day=day), at(day=day + 1), resource=None, ProviderName="OpenAI")
        world.charge(3, at(day=day), at(day=day + 1), resource=None, ProviderName="Mistral", currency="EUR")
    for day in DAYS:
        for gpu in ("G1", "G2", "B", "O", "P", "T1"):
            begin = at("00:00", day) - timedelta(seconds=dice.randrange(300))
            end = at("24:00", day) - timedelta(minutes=dice.randrange(240))
            world.usage(begin, end, dice.choice([0, 0.25, 0.5, 1]), gpu=gpu, every=dice.choice([600, 1700]))
        world.metric("size", dice.choice(["team", "user"]), "red", dice.randint(1, 9), day=at(day=day).date())
        _requests(world, dice, day)
    world.identity("ann", "Ann", team_id="red")
    world.identity("ann", "Anna", at("00:00", 3), team_id="blue", customer_id="acme")
    world.identity("bob", "Bob")
    for number in range(8):
        start = at(f"{dice.randrange(24)}:00", 1 + dice.randrange(5))
        held: dict[str, Any] = {"gpu_uuids": dice.choice(["T1", "T1 T2", "G1", "O"])}
        if number % 3 == 0:
            held = {"node_id": "train-1", "gpu_count": 1}
        world.job(start, start + timedelta(hours=dice.randrange(1, 40)), id=f"job-{number}", **held)
    world.job(at("22:00", 2), at("03:00", 3), id="failed", gpu_uuids="T1", status="failed", team_id="red")
    return world


def _requests(world: World, dice: random.Random, day: int) -> None:
    for number in range(66 if day in (1, 3) else 0):
        tokens = (500, 1000, 2000)[number % 3]
        begin = at("02:00", day) + timedelta(minutes=10 * number)
        first = begin + timedelta(microseconds=200_000 + 1000 * day * tokens)
        lived: dict[str, Any] = {"first": first, "input_tokens": tokens, "output_tokens": 51}
        world.request(begin, first + timedelta(seconds=5), id=f"teach-{day}-{number}", replica="r1", **lived)
    for number in range(14):
        begin = at("00:00", day) + timedelta(seconds=dice.randrange(86_400))
        if number % 7 == 0:
            begin = at("23:59", day) + timedelta(seconds=dice.randrange(60))
        tokens = dice.choice([500, 1000, 2000, 4000])
        first = begin + timedelta(microseconds=200_000 + 1000 * day * tokens)
        more: dict[str, Any] = {"provider": "vllm", "replica": dice.choice(["r1", "r1", "r2", "b", "b2", "o", "p"])}
        if number % 4 == 1:
            more = {"provider": "openai" if number < 9 else "mistral", "replica": None}
        elif number == 2:
            more["replica"] = "unknown"
        elif number == 3:  # on the first day no replica of ours
            more = {"provider": "openai", "replica": "p"}
        world.request(
            begin,
            None if number % 11 == 0 else first + timedelta(seconds=dice.choice([1, 5, 100, 5000])),
            first=None if number % 13 == 0 else first,
            id=f"r-{day}-{number}",
            user=dice.choice(["ann", "bob", "eve", None]),
            model="n" if number in (1, 4) else "m",
            input_tokens=tokens,
            cached_input_tokens=dice.choice([None, 0, 100]),
            output_tokens=dice.randint(1, 60),
            trace_id=f"trace-{dice.randrange(4)}",
            agent=dice.choice(["a", None]),
            feature=dice.choice(["search", None]),
            tags=dice.choice(['{"squad": "x"}', None]),
            **more,
        )


def rows_of(ran: Ran) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every row that the days left behind."""
    return {table: Counter(ran.ask(f"select * from done.{table}")) for table in TABLES}


@pytest.fixture(scope="module", params=[1])
def world_and_rows(request: pytest.FixtureRequest) -> tuple[World, dict[str, Counter[tuple[Any, ...]]]]:
    world = company(request.param)
    return world, rows_of(world.run(horizon=at("18:00", 6)))


def test_the_world_of_these_tests_has_something_of_everything_on_several_days(
    world_and_rows: tuple[World, dict[str, Counter[tuple[Any, ...]]]],
) -> None:
    ran = world_and_rows[0].run(horizon=at("18:00", 6), together=ALL)
    counts = dict(ran.ask("select kind, count(distinct day) from done.cost_ledger group by all"))
    kinds = {"direct", "idle", "shared", "training", "unassigned", "unexplained", "unobserved", "unpriced"}
    assert {kind for kind, number in counts.items() if number > 1} == kinds
    for flag in ("provisional", "estimated"):
        assert ran.ask(f"select count(distinct day) > 1 from done.cost_ledger where {flag}") == [(True,)]
    assert ran.ask("select count(distinct subject) from done.unmatched_days") == [(6,)]
    assert all(rows for rows in rows_of(ran).values())
    learned = "select count(distinct day), count(distinct p1_ns) from settings.prefill_laws where model = 'm'"
    assert ran.ask(learned) == [(len(DAYS), 2)]  # of the first and the third day; the others inherit


@pytest.mark.parametrize("together", [4, ALL])
def test_days_in_one_set_of_statements_have_the_rows_of_each_day_by_itself(
    world_and_rows: tuple[World, dict[str, Counter[tuple[Any, ...]]]], together: int
) -> None:
    world, alone = world_and_rows
    rows = rows_of(world.run(horizon=at("18:00", 6), together=together))
    for table in TABLES:
        assert rows[table] == alone[table], table
