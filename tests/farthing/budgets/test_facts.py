"""What a budget says to people, and what of it is kept."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from farthing.budgets import alerts, store
from farthing.lake import Lake
from farthing.lake.issued import BUDGET_STATUS
from tests.farthing.budgets.conftest import OCTOBER, Books, october


def test_of_each_measure_the_highest_threshold_is_told_once(books: Books) -> None:
    books.spend(5, "85.5", provisional=True)
    books.landing(5, 104.0, 130.0)
    budget: dict[str, Any] = {"amount": 100, "thresholds": {"q80": [100, 120]}}
    actual, landing, q80 = alerts(books.statuses(budget))
    assert (actual.measure, actual.percent, actual.level, actual.value) == ("actual", 80, Decimal(80), Decimal("85.5"))
    assert (actual.budget, actual.dimension, actual.key, actual.currency) == ("b", "total", None, "USD")
    assert (actual.provisional, actual.since, actual.begin) == (Decimal("85.5"), october(5), OCTOBER)
    assert (landing.measure, landing.percent, landing.value) == ("landing", 100, 104.0)
    assert (q80.measure, q80.percent, q80.value) == ("q80", 120, 130.0)


def test_a_forecast_of_what_is_spent_already_is_no_news_and_one_beyond_it_is(books: Books) -> None:
    books.spend(5, 100)
    books.landing(5, 200.0, 300.0)
    assert [fact.measure for fact in alerts(books.statuses({"amount": 100}))] == ["actual"]
    beyond: dict[str, Any] = {"amount": 100, "thresholds": {"landing": [100, 150]}}
    assert [(fact.measure, fact.percent) for fact in alerts(books.statuses(beyond))] == [
        ("actual", 100),
        ("landing", 150),
    ]


def test_a_fact_is_said_in_words(books: Books) -> None:
    books.spend(5, "85.5", provisional=True, team_id="a")
    books.landing(5, 104.0, 130.0, dimension="team", key="a")
    told = alerts(books.statuses({"amount": 100, "scope": {"team": "a"}}))
    assert [fact.title for fact in told] == [
        "Budget b, team a: 80 % is spent",
        "Budget b, team a: 100 % is expected",
        "Budget b, team a: 100 % is not excluded",
    ]
    spent = "team a cost 85.50 of 100.00 USD in October 2026, 85.50 of it provisional"
    assert [fact.what for fact in told] == [
        f"{spent}; 80 % was crossed on 5 Oct 2026.",
        f"{spent}, and is expected to land at 104.00: beyond 100 % since the forecast of 5 Oct 2026.",
        f"{spent}, and stays with a chance of 80 % below 130.00: beyond 100 % since the forecast of 5 Oct 2026.",
    ]
    (window,) = alerts(books.statuses({"amount": 100, "window_days": 7, "thresholds": {"actual": [80]}}))
    assert "in the 7 days to 5 Oct 2026" in window.what


def test_a_budget_that_crossed_nothing_says_nothing(books: Books) -> None:
    books.spend(5, 1)
    assert alerts(books.statuses({"amount": 100})) == []


def test_a_month_tells_a_threshold_once_and_the_next_month_again(books: Books) -> None:
    books.spend(5, 60)
    (first,) = alerts(books.statuses({"amount": 100}))
    books.spend(7, 1)
    (later,) = alerts(books.statuses({"amount": 100}))
    assert first.id == later.id == "budget/b/total//USD/actual/50/2026-10-01"


def test_a_window_tells_a_threshold_again_when_it_comes_from_below(books: Books) -> None:
    budget: dict[str, Any] = {"amount": 10, "window_days": 2, "scope": {"user": "*"}, "thresholds": {"actual": [100]}}
    for day in (3, 4, 9):
        books.spend(day, 12, user_id="ann")
    ids = {day: [fact.id for fact in alerts(books.statuses(budget, today=day))] for day in (3, 4, 5, 9)}
    assert ids[3] == ids[4] == ["budget/b/user/ann/USD/actual/100/2026-10-03"]
    assert ids[9] == ["budget/b/user/ann/USD/actual/100/2026-10-09"]


def rows(lake: Lake) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        lake.view(con, BUDGET_STATUS)
        return con.execute(
            "select as_of, budget, dimension, key, BillingCurrency, period_start, period_end, amount, actual,"
            " provisional, landing, landing_q80, basis, threshold, crossed_on from lake.budget_status order by all"
        ).fetchall()


def test_what_is_kept_is_one_row_for_each_budget_and_last_day_of_the_ledger(books: Books, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    books.spend(5, 85)
    books.landing(5, 104.0, 130.0)
    ours: dict[str, Any] = {"amount": 100}
    other: dict[str, Any] = {"name": "c", "amount": 999, "scope": {"team": "*"}}
    store(lake, books.statuses(ours, other))
    books.spend(5, 6, provisional=True)
    store(lake, books.statuses(ours))
    row, kept = rows(lake)
    assert kept[1] == "c"
    assert row == (
        *(october(5), "b", "total", None, "USD", OCTOBER, october(31), Decimal(100), Decimal(91), Decimal(6)),
        *(104.0, 130.0, "landing", 1.0, october(5)),
    )
    books.spend(6, 1)
    store(lake, books.statuses(ours))
    assert [row[:2] for row in rows(lake)] == [(october(5), "b"), (october(5), "c"), (october(6), "b")]


def test_a_month_that_has_not_begun_is_not_kept(books: Books, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    books.spend(5, 85)
    store(lake, books.statuses({"amount": 1}, month=october(1).replace(month=11)))
    assert lake.version(BUDGET_STATUS) is None
