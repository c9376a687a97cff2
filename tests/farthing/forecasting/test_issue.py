"""A forecast is issued once, stored with what it was made from, published, and scored when its days are over."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from farthing import clock, warehouse
from farthing.config import Config
from farthing.forecasting import history as histories
from farthing.forecasting.issue import Issued, data_version, issue
from farthing.forecasting.scores import LANDING_BOARD, SCOREBOARD, error_stores
from farthing.lake import Lake
from farthing.lake.issued import FORECASTS
from tests.farthing.forecasting.company import LAST, NOW, Quiet
from tests.farthing.forecasting.conftest import config_of

pytestmark = pytest.mark.slow  # a project is built and asked for each

#: A moment at which 20 days that are known now were still ahead.
THEN = NOW - timedelta(days=20)


def issued(config: Config, now: object = NOW) -> Issued:
    assert isinstance(now, type(NOW))
    with clock.fixed(now):
        return issue(config, Lake(config.lake_path), Quiet())


def test_a_forecast_is_stored_with_as_of_data_version_seed_and_paths(own_company: Path) -> None:
    config = config_of(own_company, seed=3)
    found = issued(config)
    assert (found.new, found.as_of) == (True, LAST)
    with warehouse.open_warehouse(config) as con:
        rows = con.execute(
            "select issue_id, as_of, data_version, seed, model, issued_at, count(*), min(day), max(day),"
            " min(len(paths)), max(len(paths)) from forecasts where dimension = 'total' group by all"
        ).fetchall()
        assert rows == [
            (
                found.issue_id, LAST, data_version(con), 3, "weekday_mean", NOW.replace(tzinfo=None), 45,
                LAST + timedelta(days=1), LAST + timedelta(days=45), 100, 100,
            )
        ]  # fmt: skip
        [(low, middle, high, paths)] = con.execute(
            "select q10, q50, q90, paths from forecasts where dimension = 'total' order by day limit 1"
        ).fetchall()
        assert low < middle < high
        assert np.mean(np.array(paths) <= high) == pytest.approx(0.9, abs=0.02)
        assert con.execute("select count(*) from landings where dimension = 'total'").fetchall() == [(1,)]


def test_it_is_issued_once_for_a_day_and_its_settings(own_company: Path) -> None:
    config = config_of(own_company)
    first = issued(config)
    lake = Lake(config.lake_path)
    version = lake.version(FORECASTS)
    again = issued(config, NOW + timedelta(hours=5))
    assert (again.issue_id, again.new) == (first.issue_id, False)
    assert lake.version(FORECASTS) == version
    other = issued(config_of(own_company, seed=1))
    assert other.new
    assert other.issue_id != first.issue_id


def test_an_events_file_that_changes_is_another_forecast(own_company: Path) -> None:
    config = config_of(own_company, events="events.csv")
    (own_company / "events.csv").write_text("day,factor,what\n2027-01-05,2,launch\n", encoding="utf-8")
    first = issued(config)
    assert any("launch: total x 2 from 2027-01-05" in note for note in first.notes)
    (own_company / "events.csv").write_text("day,factor,what\n2027-01-06,2,launch\n", encoding="utf-8")
    assert issued(config).issue_id != first.issue_id


def test_an_issued_forecast_is_scored_by_the_days_that_came(own_company: Path) -> None:
    config = config_of(own_company)
    issued(config, THEN)
    with warehouse.open_warehouse(config) as con:
        board = con.execute(SCOREBOARD, {"dimension": "total"}).fetchall()
        assert [row[:5] for row in board] == [("weekday_mean", "1-7", 1, 1, 7), ("weekday_mean", "8-30", 1, 1, 10)]
        [(absolute, naive, actual, days, within)] = con.execute(
            "select absolute_error, naive_error, actual, days, within_80 from forecast_scores"
            " where dimension = 'team' and key = 'search' and ahead = '1-7'"
        ).fetchall()
        ahead = con.execute(
            "select scope_days.cost, forecasts.forecast, forecasts.q10, forecasts.q90, before.cost"
            " from forecasts inner join scope_days using (dimension, key, day)"
            " inner join scope_days as before on before.dimension = 'team' and before.key = 'search'"
            "   and before.day = forecasts.day - 7"
            " where dimension = 'team' and key = 'search' and forecasts.day <= forecasts.as_of + 7"
        ).fetchall()
    assert days == 7
    assert actual == sum(row[0] for row in ahead)
    assert absolute == pytest.approx(sum(abs(float(row[0]) - row[1]) for row in ahead))
    assert naive == pytest.approx(sum(abs(float(row[0] - row[4])) for row in ahead))
    assert within == sum(row[2] <= row[0] <= row[3] for row in ahead)


def test_days_that_are_not_over_for_three_days_are_not_scored(own_company: Path) -> None:
    config = config_of(own_company)
    issued(config, NOW - timedelta(days=3))
    with warehouse.open_warehouse(config) as con:
        assert con.execute(SCOREBOARD, {"dimension": None}).fetchall() == []


def test_a_landing_is_scored_when_its_month_is_over(own_company: Path) -> None:
    config = config_of(own_company)
    issued(config, THEN)
    with warehouse.open_warehouse(config) as con:
        [(as_of, month, days_ahead, actual)] = con.execute(
            "select as_of, month, days_ahead, actual from landing_scores where dimension = 'total'"
        ).fetchall()
        [(cost,)] = con.execute("select sum(cost) from cost_ledger where month(day) = 11").fetchall()
        board = con.execute(LANDING_BOARD, {"dimension": "total"}).fetchall()
    assert (as_of, month, days_ahead, actual) == (date(2026, 11, 26), date(2026, 11, 1), 4, cost)
    assert [row[:5] for row in board] == [("weekday_mean", "last 10 days", 1, 1, 1)]


def test_errors_of_issued_forecasts_are_those_of_the_next_one(own_company: Path) -> None:
    config = config_of(own_company)
    issued(config, THEN)
    with clock.fixed(NOW), warehouse.open_warehouse(config) as con:
        history = histories.read(con, config)
        store = error_stores(con, history)["weekday_mean"]
        [errors] = store.issued
        assert errors.origin == np.datetime64("2026-11-26")
        assert np.isfinite(errors.scaled).sum(axis=1).tolist() == [20] * len(errors.uids)
        row = history.scopes.index(next(scope for scope in history.scopes if scope.name == "pool=own"))
        place = list(errors.uids).index(history.panel.uids[row])
        [(forecast,)] = con.execute(
            "select forecast from forecasts where dimension = 'pool' and key = 'own' and day = date '2026-11-27'"
        ).fetchall()
        actual = history.panel.y[row, -20]
        assert errors.scaled[place, 0] * errors.scale[place] == pytest.approx(actual - forecast)
