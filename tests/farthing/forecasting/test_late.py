"""Bills that come late: the last days are completed or left out, and never read as a drop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing import clock
from farthing.config import from_mapping
from farthing.forecasting.history import History, NothingToForecastError, Scope, read
from farthing.forecasting.late import late_days
from tests.farthing.forecasting.tables import Said, ledger

FIRST, LAST = date(2026, 9, 1), date(2026, 10, 30)
NOW = datetime(2026, 10, 31, 6, tzinfo=UTC)
DAYS = [FIRST + timedelta(days=number) for number in range(60)]
TOTAL = Scope("total", None, "USD")


def of(con: duckdb.DuckDBPyConnection, *scopes: str) -> History:
    config = from_mapping({"forecast": {"scopes": list(scopes)}})
    with clock.fixed(NOW):
        return read(con, config)


def lines(pools: dict[str, Callable[[date], float]]) -> list[tuple[date, str, str | None, str | None, float]]:
    return [(day, pool, f"team-{pool}", "m", cost(day)) for day in DAYS for pool, cost in pools.items() if cost(day)]


def said(pool: str, known: dict[int, float], *, whole: float = 100.0) -> list[Said]:
    """What a build each morning said: of a day of age a the last share of `known` up to a, once it changed."""
    rows = []
    for day in DAYS:
        for age, share in known.items():
            when = datetime.combine(day + timedelta(days=age), NOW.time())
            if when <= NOW.replace(tzinfo=None):
                rows.append((day, pool, when, whole * share))
    return rows


def test_a_day_is_divided_by_the_share_that_was_known_of_earlier_days_at_its_age() -> None:
    known = {1: 0.6, 2: 0.8, 3: 1.0}
    costs = {LAST: 60.0, LAST - timedelta(days=1): 80.0}
    con = ledger(lines({"a": lambda day: costs.get(day, 100.0)}), said("a", known))
    history = of(con, "pool")
    assert history.panel.y[0].tolist() == pytest.approx([100.0] * 60)
    assert [one.day for one in history.late] == [LAST - timedelta(days=1), LAST]
    assert [one.share for one in history.late] == pytest.approx([0.8, 0.6])
    assert history.as_of == LAST


def test_a_day_of_which_less_than_half_is_known_is_filled_with_such_weekdays() -> None:
    def week(day: date) -> float:
        return 100.0 + day.weekday()

    con = ledger(
        lines({"a": lambda day: 20.0 if day == LAST else week(day), "b": lambda _: 3000.0}), said("a", {1: 0.2, 2: 1.0})
    )
    history = of(con, "pool")
    assert history.panel.y[0].tolist() == pytest.approx([week(day) for day in DAYS])
    assert [one.share for one in history.late] == [None]


def test_what_is_estimated_counts_as_known_and_is_not_scaled_up() -> None:
    con = ledger(lines({"a": lambda _: 100.0}), said("a", {1: 1.0}))
    assert of(con, "pool").late == []


def test_a_missing_bill_of_a_young_day_is_seen_before_anything_is_learned() -> None:
    con = ledger(lines({"a": lambda day: 0.0 if day >= LAST - timedelta(days=1) else 100.0, "b": lambda _: 5000.0}))
    history = of(con, "team", "total", "pool")
    for row, scope in enumerate(history.scopes):
        if scope.key in ("a", '["team-a","m"]'):
            assert history.panel.y[row].tolist() == pytest.approx([100.0] * 60)
    assert {one.pool for one in history.late} == {"a"}


def test_a_moderate_drop_and_an_old_one_are_drops() -> None:
    moderate = ledger(lines({"a": lambda day: 60.0 if day >= LAST - timedelta(days=1) else 100.0}))
    assert of(moderate, "pool").late == []
    old = ledger(lines({"a": lambda day: 10.0 if day >= LAST - timedelta(days=20) else 100.0}))
    assert of(old, "pool").panel.y[0, -1] == 10.0


def test_a_pool_whose_bills_were_always_on_time_may_stop_at_once() -> None:
    con = ledger(
        lines({"a": lambda day: 1.0 if day == LAST else 100.0, "b": lambda _: 50.0}),
        [*said("a", {1: 1.0}), *said("b", {1: 1.0}, whole=50.0)],
    )
    assert of(con, "pool").panel.y[0, -1] == 1.0


def test_last_days_that_would_be_filled_in_for_more_than_a_tenth_are_left_out() -> None:
    two = LAST - timedelta(days=1)
    con = ledger(lines({"a": lambda day: 0.0 if day >= two else 100.0, "b": lambda _: 500.0}))
    history = of(con, "pool")
    assert history.as_of == LAST - timedelta(days=2)
    assert history.left_out == [two, LAST]
    assert history.panel.y.shape[1] == 58


@pytest.mark.slow
@settings(max_examples=8)  # each makes a ledger
@given(share=st.floats(0.01, 1.0), age=st.integers(1, 3))
def test_a_late_day_is_never_below_what_is_there_nor_below_what_such_days_cost(share: float, age: int) -> None:
    late = {LAST - timedelta(days=number): share for number in range(age)}
    known = dict.fromkeys(range(1, age + 1), share) | {age + 1: 1.0}
    con = ledger(lines({"a": lambda day: 100.0 * late.get(day, 1.0), "b": lambda _: 9000.0}), said("a", known))
    assert of(con, "pool").panel.y[0].tolist() == pytest.approx([100.0] * 60)


def test_nothing_is_late_when_all_builds_said_the_same() -> None:
    con = ledger(lines({"a": lambda _: 100.0}), said("a", {1: 1.0}))
    with clock.fixed(NOW):
        assert late_days(con, LAST) == []


def test_a_scope_costs_nothing_on_a_day_without_a_row_and_is_unknown_before_its_first() -> None:
    rows = [row for row in lines({"a": lambda _: 100.0}) if row[0] != DAYS[7]]
    rows += [(day, "b", "new", "m", 5.0) for day in DAYS[30:] if day != DAYS[40]]
    history = of(ledger(rows), "pool")
    a, b = history.panel.y
    assert np.isnan(a[7]), "the ledger has nothing of the day"
    assert np.isnan(b[:30]).all()
    assert b[40] == 0.0


def test_only_the_largest_keys_of_a_dimension_are_forecast_but_every_leaf_is() -> None:
    con = ledger([(day, f"p{number}", f"team-{number}", "m", number + 1.0) for day in DAYS for number in range(4)])
    config = from_mapping({"forecast": {"scopes": ["pool", "total"], "largest": 2}})
    with clock.fixed(NOW):
        history = read(con, config)
    assert [one.key for one in history.scopes if one.dimension == "pool"] == ["p2", "p3"]
    assert len([one for one in history.scopes if one.dimension == "team x model"]) == 4


def test_the_open_day_is_not_read() -> None:
    con = ledger([*lines({"a": lambda _: 100.0}), (NOW.date(), "a", "team-a", "m", 1.0)])
    assert of(con, "pool").as_of == LAST


def test_a_ledger_without_a_day_that_is_over_is_said() -> None:
    with pytest.raises(NothingToForecastError, match="no day before 2026-10-31"):
        of(ledger([(NOW.date(), "a", "t", "m", 1.0)]), "pool")


def test_what_is_still_to_come_falls_on_the_team_whose_bill_is_late() -> None:
    rows = [(day, "a", team, "m", cost) for day in DAYS for team, cost in (("on-time", 60.0), ("late", 40.0))]
    con = ledger([row for row in rows if row[0] != LAST or row[2] == "on-time"], said("a", {1: 0.6, 2: 1.0}))
    history = of(con, "team")
    assert [one.share for one in history.late] == pytest.approx([0.6])
    found = {scope.parts[0]: y for scope, y in zip(history.scopes, history.panel.y, strict=True)}
    assert found["on-time"].tolist() == pytest.approx([60.0] * 60)
    assert found["late"].tolist() == pytest.approx([40.0] * 60)


def test_a_pool_that_is_billed_weeks_later_goes_on_as_it_was() -> None:
    week = {day: 100.0 + day.weekday() for day in DAYS}
    monthly = [
        (day, "a", datetime.combine(day + timedelta(days=20), NOW.time()), cost)
        for day, cost in week.items()
        if day + timedelta(days=20) <= NOW.date()
    ]
    billed = {day for day, *_ in monthly}
    con = ledger(
        lines({"a": lambda day: week[day] if day in billed else 0.0, "b": lambda _: 5000.0}),
        [*monthly, *said("b", {1: 1.0}, whole=5000.0)],
    )
    history = of(con, "pool")
    assert history.as_of == LAST
    assert history.panel.y[0].tolist() == pytest.approx(list(week.values()))
    assert len(history.late) == 19


def test_a_day_that_is_filled_in_keeps_what_is_already_more() -> None:
    con = ledger(
        lines({"a": lambda day: 150.0 if day == LAST else 100.0, "b": lambda _: 5000.0}), said("a", {1: 0.2, 2: 1.0})
    )
    assert of(con, "pool").panel.y[0, -1] == pytest.approx(150.0)
