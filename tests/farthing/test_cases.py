"""docs/cases.md: every command of the page is run on the company that it names, and every figure compared."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.farthing import cases
from tests.farthing.commands import farthing

pytestmark = pytest.mark.slow  # a project is built and asked for each

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
Given = tuple[dict[str, str], list[Any]]


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("cases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HASH_KEY", "secret")
        return {make.__name__: make(root / make.__name__) for make in (cases.books, cases.assistant, cases.lab)}


@pytest.fixture
def case(companies: dict[str, Path]) -> Callable[[str], Given]:
    """The table of figures under a heading of the page, and what its commands say as JSON."""

    def of(title: str) -> Given:
        text = SECTIONS[title]
        named = re.search(r"Company `(\w+)`", text)
        block = re.search(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        assert named
        assert block
        folder = companies[named[1]]
        said = []
        for line in block[1].splitlines():
            words = [str(folder / word) if word.endswith(".toml") else word for word in shlex.split(line)]
            found = farthing(*words[1:], "--project", folder, "--json")
            assert found.code == 0, found.err
            said.append(found.value)
        rows = re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)
        return dict(rows[2:]), said

    return of


def money(value: object) -> str:
    return f"{Decimal(str(value)).quantize(Decimal('0.01'), ROUND_HALF_UP):,f}"


def count(value: object) -> str:
    return f"{Decimal(str(value)):,.0f}"


def percent(value: object, places: int = 1) -> str:
    return f"{100 * Decimal(str(value)):.{places}f} %"


def lines(said: Any, key: str) -> dict[Any, Any]:
    return {row[key]: row for row in said["lines"]}


def test_a_training_run_of_64_a100s_for_two_weeks(case: Callable[[str], Given]) -> None:
    told, [[run]] = case("A training run of 64 A100s for two weeks")
    assert told == {"GPU-hours": count(run["gpu_hours"]), "cost": money(run["cost"])}


def test_five_to_ten_runs_for_one_model(case: Callable[[str], Given]) -> None:
    told, [[runs]] = case("Five to ten runs for one model")
    assert told == {
        "runs": count(runs["runs"]),
        "one run": money(runs["one_run"]),
        "the model": money(runs["cost"]),
        "lost in runs that failed": money(runs["lost"]),
    }


def test_200_a100s_against_20_million(case: Callable[[str], Given]) -> None:
    told, [margin, [unit]] = case("200 A100s, 10,000 requests a second, 20 M revenue")
    month = margin["month"]
    assert told == {
        "cost": money(month["cogs_cost"]),
        "revenue": money(month["revenue"]),
        "gross margin": percent(month["margin_share"]),
        "a million requests": money(unit["cost_per_unit"]),
    }


def test_130_k_on_500_k(case: Callable[[str], Given]) -> None:
    told, [margin, pools] = case("130 k infrastructure on 500 k revenue")
    month = margin["month"]
    assert told == {
        **{pool["pool"]: money(pool["ledger_cost"]) for pool in pools},
        "cost": money(month["cogs_cost"]),
        "revenue": money(month["revenue"]),
        "gross margin": percent(month["margin_share"]),
    }


def test_users_a_and_b(case: Callable[[str], Given]) -> None:
    told, [margin] = case("User A and user B on the same plan")
    found = lines(margin, "user_id")
    assert told == {
        "A costs": money(found["A"]["cogs_cost"]),
        "B costs": money(found["B"]["cogs_cost"]),
        "earned on A": money(found["A"]["margin"]),
        "earned on B": money(found["B"]["margin"]),
        "B by A": count(Decimal(found["B"]["cogs_cost"]) / Decimal(found["A"]["cogs_cost"])),
        "part of all cost that loses money": percent(margin["month"]["losing_cost_share"]),
    }


def test_an_agent_task_of_10_to_100_calls(case: Callable[[str], Given]) -> None:
    told, [margin, [spread]] = case("An agent task of 10 to 100 calls")
    [tasks] = margin["tasks"] if isinstance(margin["tasks"], list) else [margin["tasks"]]
    assert told == {
        "calls of the median task": count(tasks["p50_calls"]),
        "median": money(tasks["p50_cost"]),
        "p95": money(tasks["p95_cost"]),
        "p99": money(tasks["p99_cost"]),
        "cheapest": money(spread["least"]),
        "dearest": money(spread["most"]),
    }


def test_routing_and_caching_are_not_saved_twice(case: Callable[[str], Given]) -> None:
    told, [whatif] = case("Routing and caching at 30 to 50 %")
    cards = {card["card"]: card for card in whatif["cards"]}
    cost = Decimal(cards["cache"]["matched_cost"])

    def part(saving: Any) -> str:
        return percent(Decimal(saving["q50"]) / cost, 0)

    assert told == {
        "cache alone": part(cards["cache"]["saving"]),
        "router alone": part(cards["router"]["saving"]),
        "added up": part(whatif["together"]["added_up"]),
        "together": part(whatif["together"]["saving"]),
    }


def test_power_is_of_whole_machines_and_their_building(case: Callable[[str], Given]) -> None:
    told, [rows] = case("An H100 machine at 10.5 kW, and the power of 100 GPUs")
    found = {row["ResourceId"]: row for row in rows}
    shown: dict[str, str] = {}
    for name, resource in (("one machine", "machine"), ("thirteen machines", "thirteen"), ("100 boards", "boards")):
        shown |= {f"{name}, kWh": money(found[resource]["kwh"]), name: money(found[resource]["cost"])}
    right = Decimal(found["thirteen"]["cost"]) / Decimal(found["boards"]["cost"])
    assert told == {**shown, "right by told": f"{right:.1f}"}


def test_a_plan_of_200_k_that_became_600_k(case: Callable[[str], Given]) -> None:
    told, [said] = case("A plan of 200 k that became 600 k")
    names = ("planned", "actual", "volume", "mix", "rate")
    assert told == {name: money(said["variance"][name]) for name in names}


def test_50_h100s_needed_and_10_got(case: Callable[[str], Given]) -> None:
    told, [said] = case("50 H100s needed, 10 got")
    [card] = said["cards"]
    rows = {row["what"]: count(row["q50"]) for row in card["rows"]}
    assert told == {
        "needed": rows["needed"],
        "got": rows["cloud"],
        "unmet": rows["unmet"],
        "days unmet": count(card["figures"]["days_unmet"]["q50"]),
        "cost of what was got": money(card["figures"]["cost"]["q50"]),
    }


def test_a_vector_database_of_50_k(case: Callable[[str], Given]) -> None:
    told, [margin] = case("A vector database of 50 k")
    found = lines(margin, "customer_id")
    assert told == {
        "the database": money(margin["month"]["cogs_cost"]),
        "acme costs": money(found["acme"]["cogs_cost"]),
        "margin of acme": percent(found["acme"]["margin_share"]),
        "bolt costs": money(found["bolt"]["cogs_cost"]),
        "margin of bolt": percent(found["bolt"]["margin_share"]),
    }


def test_ten_cents_per_user_of_the_old_world(case: Callable[[str], Given]) -> None:
    told, [[unit]] = case("0.10 per user, the old world")
    assert told == {"active users": count(unit["quantity"]), "one user": money(unit["cost_per_unit"])}


def test_every_case_of_the_page_is_tested() -> None:
    tested = set(re.findall(r'case\("(.*?)"\)', Path(__file__).read_text(encoding="utf-8")))
    assert tested - {"(.*?)"} == set(SECTIONS)
