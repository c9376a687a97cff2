"""How budgets stand: what counts, which thresholds are crossed, and since when."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.budgets.status import Status
from farthing.errors import ConfigError
from farthing.lake.schemas import IDENTITIES, REVENUE
from tests.farthing.budgets.conftest import OCTOBER, Books, october


def crossed(status: Status, measure: str = "actual") -> dict[int, date]:
    return {one.percent: one.since for one in status.crossings if one.measure == measure}


def test_what_is_spent_in_the_month_and_scope_counts_and_nothing_else(books: Books) -> None:
    books.spend(date(2026, 9, 30), 1000, team_id="support")
    books.spend(1, "0.100000000001", team_id="support")
    books.spend(3, "0.2", team_id="support", provisional=True)
    books.spend(3, 50, team_id="web")
    books.spend(3, 70)
    status = books.one(scope={"team": "support"}, amount=1)
    assert (status.actual, status.provisional) == (Decimal("0.300000000001"), Decimal("0.2"))
    assert (status.dimension, status.key, status.through) == ("team", "support", october(3))
    assert books.one(amount=1).actual == Decimal("120.300000000001")


SCOPES: dict[str, dict[str, str]] = {
    "team": {"team_id": "x"},
    "model": {"model": "x"},
    "customer": {"customer_id": "x"},
    "user": {"user_id": "x"},
    "pool": {"pool": "x"},
    "provider": {"provider": "x"},
}


@pytest.mark.parametrize("dimension", SCOPES)
def test_a_budget_may_be_of_each_dimension_of_the_ledger(books: Books, dimension: str) -> None:
    books.spend(1, 3, **SCOPES[dimension])
    books.spend(1, 5)
    assert books.one(scope={dimension: "x"}, amount=1).actual == 3


def test_all_of_a_scope_of_two_dimensions_must_hold(books: Books) -> None:
    books.spend(1, 3, team_id="a", model="m")
    books.spend(1, 5, team_id="a")
    books.spend(1, 7, model="m")
    status = books.one(scope={"model": "m", "team": "a"}, amount=1)
    assert (status.actual, status.dimension, status.key) == (3, "team x model", '["a","m"]')
    assert status.scope == "team a, model m"


def test_a_threshold_is_crossed_since_the_day_that_took_the_sum_there(books: Books) -> None:
    for day, cost in ((1, 30), (4, 19), (6, 1), (7, 30)):
        books.spend(day, cost)
    status = books.one(amount=100)
    assert crossed(status) == {50: october(6), 80: october(7)}
    assert status.used_share == pytest.approx(0.8)


def test_a_credit_that_takes_the_sum_below_begins_a_new_crossing(books: Books) -> None:
    for day, cost in ((1, 60), (3, -20), (5, 15)):
        books.spend(day, cost)
    assert crossed(books.one(amount=100)) == {50: october(5)}
    books.spend(6, -10)
    assert crossed(books.one(amount=100)) == {}


def test_a_budget_of_nothing_is_crossed_by_the_first_cent_and_not_before(books: Books) -> None:
    books.plan(0)
    books.spend(2, 0)
    assert crossed(books.statuses()[0]) == {}
    books.spend(3, "0.01")
    assert set(crossed(books.statuses()[0])) == {50, 80, 100}


def test_money_in_another_currency_is_named_and_never_added(books: Books) -> None:
    books.spend(1, 10)
    books.spend(2, 99, currency="EUR")
    status = books.one(amount=100)
    assert (status.actual, status.elsewhere) == (10, {"EUR": 99})
    assert books.one(amount=100, currency="EUR").actual == 99


def test_the_month_is_that_of_the_ledgers_end_and_another_can_be_asked_for(books: Books) -> None:
    books.spend(date(2026, 8, 15), 5)
    books.spend(date(2026, 9, 10), 7)
    status = books.one(amount=10)
    assert (status.limit.begin, status.actual, status.elapsed_share) == (date(2026, 9, 1), 7, pytest.approx(10 / 30))
    august = books.one(amount=10, month=date(2026, 8, 1))
    assert (august.actual, august.through, august.elapsed_share) == (5, date(2026, 8, 31), 1)


def test_a_month_that_the_ledger_does_not_reach_has_no_actual(books: Books) -> None:
    books.spend(5, 7)
    status = books.one(amount=10, month=date(2026, 11, 1))
    assert (status.actual, status.through, status.crossings) == (None, None, ())


def test_a_month_before_the_ledger_begins_has_no_actual_and_one_that_it_begins_in_says_from_when(books: Books) -> None:
    books.spend(5, 7)
    before = books.one(amount=10, month=date(2026, 9, 1))
    assert (before.actual, before.known_from, before.through) == (None, None, None)
    assert books.one(amount=10).known_from == october(5)
    books.spend(date(2026, 9, 5), 1)
    assert books.one(amount=10).known_from == OCTOBER


def test_a_scope_without_a_line_in_a_month_that_the_ledger_knows_has_spent_nothing(books: Books) -> None:
    books.spend(5, 7)
    assert books.one(scope={"team": "idle"}, amount=10).actual == 0


def test_the_day_that_is_open_counts_up_to_the_builds_hour(books: Books) -> None:
    books.spend(10, 7)
    books.con.execute("update build_info set horizon = ?", [datetime(2026, 10, 10, 12)])  # noqa: DTZ001
    assert books.one(amount=10).elapsed_share == pytest.approx(9.5 / 31)


def test_days_after_today_are_not_known_yet(books: Books) -> None:
    books.spend(10, 7)
    books.spend(25, 7)
    assert books.one(amount=10, today=20).actual == 7


def test_a_budget_holds_from_its_first_month_until_the_month_that_it_names(books: Books) -> None:
    books.spend(1, 1)
    assert not books.statuses({"amount": 1, "from": date(2026, 11, 1)})
    assert not books.statuses({"amount": 1, "until": OCTOBER})
    assert books.one(amount=1, until=date(2026, 11, 1), **{"from": OCTOBER}).actual == 1


# -- windows


def test_a_window_is_the_last_days_whatever_their_month(books: Books) -> None:
    for day, cost in ((date(2026, 9, 27), 1), (date(2026, 9, 28), 2), (date(2026, 9, 30), 4), (OCTOBER, 8)):
        books.spend(day, cost)
    books.spend(4, 16)
    status = books.one(amount=1000, window_days=7)
    assert (status.limit.begin, status.limit.end, status.actual) == (date(2026, 9, 28), october(5), 30)
    assert (status.landing, status.elapsed_share) == (None, 1)


def test_a_window_is_crossed_since_the_day_from_which_its_sum_never_fell_below(books: Books) -> None:
    books.spend(1, 60)  # the windows of 1 to 3 October
    books.spend(7, 30)
    books.spend(8, 30)  # with it the window of 8 October
    books.spend(9, 0)
    status = books.one(amount=50, window_days=3, thresholds={"actual": [100]})
    assert crossed(status) == {100: october(8)}
    assert crossed(books.one(amount=50, window_days=3, today=7, thresholds={"actual": [100]})) == {}


def test_a_window_that_was_full_before_the_budget_began_is_crossed_since_its_first_day(books: Books) -> None:
    for day in range(1, 11):
        books.spend(day, 10)
    status = books.one(amount=20, window_days=2, thresholds={"actual": [100]}, **{"from": october(6)})
    assert crossed(status) == {100: october(6)}


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(-50, 50)), min_size=1, max_size=15),
    st.integers(1, 9),
    st.integers(1, 60),
)
def test_the_sum_of_a_window_and_its_crossing_are_those_of_a_sum_by_hand(
    lines: list[tuple[int, int]], days: int, amount: int
) -> None:
    books = Books()
    for day, cost in lines:
        books.spend(day, cost)
    last = max(day for day, _ in lines)
    sums = {end: sum(cost for day, cost in lines if end - days < day <= end) for end in range(1, last + 1)}
    first = min(day for day, _ in lines)
    expected = None
    for end in range(last, first - 1, -1):
        if sums[end] < amount:
            break
        expected = october(end)
    status = books.one(amount=amount, window_days=days, thresholds={"actual": [100]})
    assert status.actual == sums[last]
    assert crossed(status).get(100) == expected


# -- each one on his own


def test_each_user_has_his_own_window_and_who_passes_it_is_named(books: Books) -> None:
    for user, cost in (("ann", 60), ("bob", 20), ("cid", 55), ("dan", 1)):
        books.spend(5, cost, user_id=user)
    books.spend(5, 500)  # nobody's
    found = books.statuses({"scope": {"user": "*"}, "amount": 50, "window_days": 7, "thresholds": {"actual": [100]}})
    assert [(status.key, status.actual, status.members) for status in found] == [("ann", 60, 4), ("cid", 55, 4)]
    assert all(crossed(status) == {100: october(5)} for status in found)


def test_of_a_budget_for_each_who_spent_most_is_there_although_nobody_crossed(books: Books) -> None:
    for user, cost in (("ann", 6), ("bob", 9)):
        books.spend(5, cost, user_id=user)
    (status,) = books.statuses({"scope": {"user": "*"}, "amount": 50})
    assert (status.key, status.members, status.crossings) == ("bob", 2, ())


def test_a_budget_for_each_where_nobody_spent_says_that_there_is_nobody(books: Books) -> None:
    books.spend(5, 1)
    (status,) = books.statuses({"scope": {"user": "*"}, "amount": 50})
    assert (status.key, status.members, status.actual) == ("*", 0, 0)


def test_each_model_of_one_team_is_a_budget_of_both(books: Books) -> None:
    books.spend(5, 60, team_id="a", model="m")
    books.spend(5, 70, team_id="b", model="m")
    (status,) = books.statuses({"scope": {"team": "a", "model": "*"}, "amount": 50})
    assert (status.dimension, status.key, status.actual) == ("team x model", '["a","m"]', 60)


def test_who_is_below_every_threshold_is_named_when_his_landing_is_not(books: Books) -> None:
    books.spend(5, 9, team_id="a")
    books.spend(5, 1, team_id="b")
    books.landing(5, 60.0, 70.0, dimension="team", key="b")
    found = books.statuses({"scope": {"team": "*"}, "amount": 50})
    assert [(status.key, set(crossed(status, "landing"))) for status in found] == [("a", set()), ("b", {100})]


# -- plans of customers


def plans(books: Books, **scope: str) -> Any:
    return books.one(scope={"plan": scope["plan"]}, amount=1).actual


def test_a_plan_is_that_of_the_users_identity_else_what_was_paid_for_him_or_his_customer(books: Books) -> None:
    books.add(IDENTITIES, id="key", user_id="ann", plan="pro")
    books.add(REVENUE, customer_id="acme", plan="basic", period=date(2026, 9, 1), amount=1, currency="USD")
    books.add(REVENUE, customer_id="acme", user_id="bob", plan="coding", period=OCTOBER, amount=1, currency="USD")
    for cost, party in ((1, {"user_id": "ann"}), (2, {"user_id": "bob"}), (4, {"user_id": "cid"}), (8, {})):
        books.spend(2, cost, customer_id="acme", **party)
    books.spend(2, 16, customer_id="other")
    assert {plan: plans(books, plan=plan) for plan in ("pro", "coding", "basic")} == {
        "pro": 1,
        "coding": 2,
        "basic": 12,
    }


def test_a_customer_with_two_plans_in_a_month_has_none_that_cost_could_go_to(books: Books) -> None:
    for plan in ("a", "b"):
        books.add(REVENUE, customer_id="acme", plan=plan, period=OCTOBER, amount=1, currency="USD")
    books.spend(2, 16, customer_id="acme")
    assert (plans(books, plan="a"), plans(books, plan="b")) == (0, 0)


def test_the_lines_of_a_plan_are_neither_lost_nor_doubled(books: Books) -> None:
    for plan in ("a", "b"):
        books.add(IDENTITIES, id=plan, user_id="ann", plan=plan)
    books.spend(2, 16, customer_id="acme", user_id="ann")
    (status,) = books.statuses({"scope": {"plan": "*"}, "amount": 1})
    assert (status.actual, status.members) == (16, 1)


# -- landings


def test_a_landing_beyond_the_amount_is_crossed_since_it_was_foreseen_without_a_break(books: Books) -> None:
    books.spend(8, 10)
    for as_of, forecast, q80 in ((3, 120, 130), (4, 90, 110), (5, 101, 120), (6, 105, 125)):
        books.landing(as_of, forecast, q80)
    status = books.one(amount=100)
    assert (crossed(status, "landing"), crossed(status, "q80")) == ({100: october(5)}, {100: october(3)})
    assert status.landing is not None
    assert (status.landing.as_of, status.landing.forecast, status.landing.q80) == (october(6), 105, 125)


def test_without_a_forecast_of_the_very_scope_month_and_currency_there_is_no_landing(books: Books) -> None:
    books.spend(8, 10, team_id="a")
    books.landing(8, 999, 999)
    books.landing(8, 999, 999, dimension="team", key="b")
    books.landing(8, 999, 999, dimension="team", key="a", BillingCurrency="EUR")
    books.landing(8, 999, 999, dimension="team", key="a", month=date(2026, 9, 1))
    assert books.one(scope={"team": "a"}, amount=1).landing is None


def test_a_month_to_come_has_its_forecast_already(books: Books) -> None:
    books.spend(8, 10, team_id="a")
    books.landing(8, 101.0, 120.0, month=date(2026, 11, 1), dimension="team", key="a")
    november = books.one(amount=100, scope={"team": "a"}, month=date(2026, 11, 1))
    assert (november.actual, november.landing.forecast) == (None, 101.0)
    assert crossed(november, "landing") == {100: october(8)}


def test_a_month_that_is_over_is_judged_by_what_it_came_to_and_no_more_by_forecasts(books: Books) -> None:
    books.spend(date(2026, 9, 30), 99)
    books.landing(29, 101.0, 120.0, month=date(2026, 9, 1))
    assert crossed(books.one(amount=100), "landing") == {100: october(29)}
    books.spend(1, 0)
    september = books.one(amount=100, month=date(2026, 9, 1))
    assert (september.landing, set(crossed(september))) == (None, {50, 80})
    assert crossed(september, "landing") == {}


# -- plans in files


def test_a_plan_of_a_file_is_a_budget_of_its_month_and_its_lines_add_up(books: Books) -> None:
    books.spend(8, 10, team_id="a")
    books.plan(30, "team", "a", provider="x")
    books.plan(20, "team", "a", provider="y")
    books.plan(70, "team", "a", month=date(2026, 11, 1))
    (status,) = books.statuses()
    assert (status.limit.name, status.limit.amount, status.actual) == ("plan", 50, 10)


def test_a_budget_that_is_in_the_configuration_and_in_a_file_is_an_error(books: Books) -> None:
    books.spend(8, 10)
    books.plan(30, name="b")
    with pytest.raises(ConfigError, match="'b' is here, and in a file"):
        books.one(amount=1)


REFUSED: dict[str, dict[str, Any]] = {
    "period and window_days are two ways": {"period": "month", "window_days": 7},
    "a window of days has none": {"window_days": 7, "thresholds": {"landing": [90]}},
    "begins and ends with a month's first day": {"from": date(2026, 10, 2)},
    "until is not after from": {"from": OCTOBER, "until": OCTOBER},
    "scope.team is empty": {"scope": {"team": ""}},
    'more than one "\\*"': {"scope": {"team": "*", "user": "*"}},
    "Input should be 'team'": {"scope": {"squad": "a"}},
    "greater than 0": {"amount": 0},
}


@pytest.mark.parametrize(("problem", "budget"), REFUSED.items(), ids=list(REFUSED))
def test_a_budget_that_cannot_be_is_refused(books: Books, problem: str, budget: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=problem):
        books.config({"amount": 1, **budget})


def test_a_name_stands_for_one_budget(books: Books) -> None:
    with pytest.raises(ConfigError, match="budget name used twice: b"):
        books.config({"amount": 1}, {"amount": 2})


def test_the_days_of_a_month_are_counted_to_its_end() -> None:
    books = Books()
    books.spend(31, 1)
    status = books.one(amount=1, today=31)
    assert status.limit.end - status.limit.begin == timedelta(days=31)
    assert status.elapsed_share == 1
