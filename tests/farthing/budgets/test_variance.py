"""A month against its plan: whose quantities and costs stand beside which line, and what cannot be split."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from farthing import clock
from farthing.budgets.variance import variance_of
from farthing.errors import ConfigError
from farthing.lake.schemas import GPU_INVENTORY
from tests.farthing.budgets.conftest import OCTOBER, Books


def variance(books: Books, name: str = "plan", month: date = OCTOBER, **budgets: Any) -> Any:
    """A `Variance`; as Any, so that its decimals compare with plain numbers."""
    with clock.fixed(datetime(2026, 11, 20, tzinfo=UTC)):
        return variance_of(books.con, books.config(**budgets), month, name, budgets.get("scope"))


def effects(found: Any) -> dict[str | None, tuple[Any, ...]]:
    """Volume, mix, rate and what is not split, by provider."""
    return {line.provider: (effect.volume, effect.mix, effect.rate, effect.unsplit) for line, effect in found.lines}


def quantities(found: Any) -> dict[str | None, tuple[Any, Any]]:
    return {line.provider: (line.planned_quantity, line.actual_quantity) for line, _ in found.lines}


def three_clouds(books: Books) -> None:
    """A plan of 200,000 for GPU hours of one cloud; three clouds come, at 600,000."""
    books.plan(200_000, "pool", "p", provider="AWS", quantity=100_000, unit="GPU hours")
    for resource, cloud, cost in (
        ("i-1", "aws", 120_000),
        ("g-1", "Google Cloud", 200_000),
        ("v-1", "Microsoft", 280_000),
    ):
        books.billed(resource, cloud)
        books.gpu(31, 50_000, cost, resource.upper())


def test_a_plan_of_200_k_that_became_600_k_by_three_clouds_prices_is_split_by_the_books(books: Books) -> None:
    three_clouds(books)
    found = variance(books)
    assert (found.unit, found.limit.amount, found.actual) == ("GPU hours", 200_000, 600_000)
    assert effects(found) == {
        "AWS": (100_000, -200_000, 20_000, 0),
        "Google Cloud": (0, 200_000, 0, 0),
        "Microsoft": (0, 280_000, 0, 0),
    }
    total = found.effects
    assert (total.volume, total.mix, total.rate, total.unsplit) == (100_000, 280_000, 20_000, 0)
    assert total.variance == found.actual - found.limit.amount


def test_costs_that_no_gpu_stands_behind_are_a_line_that_is_not_split(books: Books) -> None:
    three_clouds(books)
    books.spend(31, "7.000000000001", pool="p")
    found = variance(books)
    assert effects(found)[None] == (0, 0, 0, Decimal("7.000000000001"))
    assert found.effects.variance == found.actual - found.limit.amount


def test_gpus_that_no_bill_names_are_their_inventorys_provider_and_else_nobodys(books: Books) -> None:
    books.plan(10, "pool", "p", provider="AWS", quantity=10, unit="GPU hours")
    books.add(GPU_INVENTORY, ResourceId="i-2", provider="AWS", valid_from=datetime(2026, 9, 1, tzinfo=UTC))
    books.gpu(1, 10, 20, "i-2")
    books.gpu(1, 5, 15, "i-3")
    books.gpu(1, 1, 500, "i-2", pool="another")
    assert quantities(variance(books)) == {"AWS": (10, 10), None: (None, 5)}


def test_requests_and_tokens_of_a_scope_stand_beside_its_cost_by_who_served_them(books: Books) -> None:
    books.plan(100, "team", "a", provider="OpenAI", quantity=2, unit="million tokens")
    books.used(1, "openai", 10, (1_000_000, 500_000), team_id="a")
    books.used(1, "anthropic", 5, (200_000, 300_000), team_id="a")
    books.used(1, "openai", 99, (9_000_000, 0), team_id="b")
    books.spend(1, 90, provider="openai", team_id="a")
    books.spend(1, 60, provider="anthropic", team_id="a")
    books.spend(1, 8, team_id="a")
    found = variance(books)
    assert quantities(found) == {"OpenAI": (2, Decimal("1.5")), "anthropic": (None, Decimal("0.5")), None: (None, None)}
    assert effects(found) == {"OpenAI": (0, -25, 15, 0), "anthropic": (0, 60, 0, 0), None: (0, 0, 0, 8)}


def test_requests_are_counted_where_the_plan_counts_requests(books: Books) -> None:
    books.plan(100, quantity=10, unit="requests")
    books.used(1, "openai", 20, (5, 5))
    books.spend(1, 150, provider="openai")
    assert effects(variance(books)) == {None: (100, 0, -50, 0)}


def test_a_plan_for_anybody_stands_for_the_providers_that_it_does_not_name(books: Books) -> None:
    books.plan(100, provider="openai", quantity=10, unit="tokens")
    books.plan(50, quantity=10, unit="tokens")
    for provider, tokens, cost in (("openai", 10, 100), ("x", 4, 30), ("y", 6, 20)):
        books.used(1, provider, 1, (tokens, 0))
        books.spend(1, cost, provider=provider)
    books.spend(1, 7)
    found = variance(books)
    assert [(line.provider, line.planned_amount, line.actual_cost) for line, _ in found.lines] == [
        ("openai", 100, 100),
        (None, 50, 50),
        (None, 0, 7),
    ]
    assert found.effects.unsplit == 7


def test_a_planned_amount_without_a_quantity_stands_for_the_costs_without_use(books: Books) -> None:
    books.plan(100, provider="openai", quantity=10, unit="tokens")
    books.plan(5)
    books.used(1, "openai", 1, (10, 0))
    books.spend(1, 100, provider="openai")
    books.spend(1, 7)
    assert effects(variance(books)) == {"openai": (0, 0, 0, 0), None: (0, 0, 0, 2)}


def test_a_plan_without_quantities_is_not_split_and_its_variance_is_there(books: Books) -> None:
    books.plan(100, "team", "a")
    books.spend(1, "100.5", team_id="a", provider="openai", provisional=True)
    found = variance(books)
    assert effects(found) == {None: (0, 0, 0, Decimal("0.5"))}
    assert (found.unit, found.provisional) == (None, Decimal("100.5"))


def test_a_budget_of_the_configuration_has_a_variance_too(books: Books) -> None:
    books.spend(1, 12, team_id="a")
    config = books.config({"amount": 10, "scope": {"team": "a"}})
    found = variance_of(books.con, config, OCTOBER, "b")
    assert found.effects.variance == 2


def test_a_plan_by_customers_plan_counts_what_its_customers_used(books: Books) -> None:
    books.con.execute("insert into identities (id, user_id, plan) values ('k', 'ann', 'pro'), ('l', 'bob', 'basic')")
    books.plan(10, "plan", "pro", provider="openai", quantity=10, unit="requests")
    for user, requests, cost in (("ann", 20, 30), ("bob", 5, 99)):
        books.used(1, "openai", requests, user_id=user)
        books.spend(1, cost, provider="openai", user_id=user)
    assert effects(variance(books)) == {"openai": (10, 0, 10, 0)}


def test_only_the_days_up_to_the_ledgers_end_are_in_the_books(books: Books) -> None:
    books.plan(10)
    books.spend(4, 3)
    found = variance(books)
    assert (found.through, found.actual) == (date(2026, 10, 4), 3)


def several(books: Books) -> None:
    books.plan(1, "team", "a")
    books.plan(1, "team", "b")


def two_units(books: Books) -> None:
    books.plan(1, provider="x", quantity=1, unit="tokens")
    books.plan(1, provider="y", quantity=1, unit="requests")


PROBLEMS: dict[str, Any] = {
    "there is no such budget in 2026-10.*one of that month: other": lambda books: books.plan(1, name="other"),
    "several have this name: team a; team b": several,
    "counts in requests and tokens, which have no sum": two_units,
    "GPU hours are known of pools and of everything, not of a team": lambda books: books.plan(
        1, "team", "a", quantity=1, unit="GPU hours"
    ),
    "tokens are of requests, and those belong to no pool": lambda books: books.plan(
        1, "pool", "p", quantity=1, unit="tokens"
    ),
}


@pytest.mark.parametrize(("problem", "planned"), PROBLEMS.items(), ids=list(PROBLEMS))
def test_what_has_no_variance_is_an_error_that_says_what_to_do(books: Books, problem: str, planned: Any) -> None:
    books.spend(1, 1)
    planned(books)
    with pytest.raises(ConfigError, match=problem):
        variance(books)


def test_a_month_that_the_ledger_does_not_reach_has_no_variance(books: Books) -> None:
    books.spend(1, 1)
    books.plan(1, month=date(2026, 11, 1))
    with pytest.raises(ConfigError, match="has 2026-10-01 to 2026-10-01 and nothing of 2026-11"):
        variance(books, month=date(2026, 11, 1))
    books.plan(1, month=date(2026, 9, 1))
    with pytest.raises(ConfigError, match="nothing of 2026-09"):
        variance(books, month=date(2026, 9, 1))


def test_the_scope_says_which_of_several_is_meant(books: Books) -> None:
    several(books)
    books.spend(1, 5, team_id="b")
    with clock.fixed(datetime(2026, 11, 20, tzinfo=UTC)):
        assert variance_of(books.con, books.config(), OCTOBER, "plan", {"team": "b"}).actual == 5


def test_a_budget_for_each_on_his_own_has_no_plan(books: Books) -> None:
    books.spend(1, 1)
    with pytest.raises(ConfigError, match="for each one on his own"):
        variance_of(books.con, books.config({"amount": 1, "scope": {"team": "*"}}), OCTOBER, "b")
