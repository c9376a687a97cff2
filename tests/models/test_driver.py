"""Spend from drivers: multiplied path by path with joint draws, scenarios by common random numbers, whole machines."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from models.driver import FIXED, DriverForecast, driver_forecast, fleet_cost
from models.edits import Edit, Floats

DAYS = np.arange("2026-07-01", "2026-10-29", dtype="datetime64[D]")


def history(seed: int = 1) -> dict[str, dict[str, Floats]]:
    """Users and requests per user that move together, day by day, and what is fixed."""
    random = np.random.default_rng(seed)
    shock = random.normal(0, 0.1, len(DAYS))
    return {
        "gpt": {
            "users": 100 * np.exp(shock),
            "requests_per_user": 5 * np.exp(shock + random.normal(0, 0.01, len(DAYS))),
            "cost_per_token": np.full(len(DAYS), 0.01) * np.exp(random.normal(0, 0.02, len(DAYS))),
        },
        FIXED: {FIXED: 50 + random.normal(0, 1, len(DAYS))},
    }


@pytest.fixture(scope="module")
def made() -> DriverForecast:
    return driver_forecast(DAYS, history(), 30, model="weekday_mean", seed=1, paths=200)


def test_spend_is_the_product_of_the_drivers_and_fixed_on_every_path(made: DriverForecast) -> None:
    rows = {name: made.paths[row] for row, name in enumerate(made.names)}
    product = rows["gpt", "users"] * rows["gpt", "requests_per_user"] * rows["gpt", "cost_per_token"]
    assert made.spend_paths("gpt") == pytest.approx(product)
    assert made.spend_paths() == pytest.approx(product + rows[FIXED, FIXED])
    assert made.spend_point() == pytest.approx(np.prod(made.point[:3], axis=0) + made.point[3])


def test_drivers_that_moved_together_do_so_on_the_paths(made: DriverForecast) -> None:
    users, requests, price = (made.paths[row] / made.point[row] - 1 for row in range(3))
    assert np.corrcoef(users.ravel(), requests.ravel())[0, 1] > 0.6
    assert abs(np.corrcoef(users.ravel(), price.ravel())[0, 1]) < 0.3


def test_the_difference_of_scenarios_has_its_own_narrow_interval(made: DriverForecast) -> None:
    cheaper = made.scenario([(Edit(date(2026, 11, 1), factor=0.9), None, "cost_per_token")], seed=1)
    saved = (made.spend_paths() - cheaper.spend_paths()).sum(axis=1)
    ahead = made.days >= np.datetime64("2026-11-01")
    assert saved == pytest.approx(0.1 * made.spend_paths("gpt")[:, ahead].sum(axis=1))
    own = np.ptp(np.quantile(made.spend_paths().sum(axis=1), [0.1, 0.9]))
    assert np.ptp(np.quantile(saved, [0.1, 0.9])) < 0.2 * own


def test_a_scenario_of_one_group_leaves_the_others_alone() -> None:
    two = history() | {"claude": history(2)["gpt"]}
    made = driver_forecast(DAYS, two, 10, model="weekday_mean", paths=100)
    more = made.scenario([(Edit(date(2026, 10, 29), factor=2.0), "claude", "users")], seed=1)
    assert (more.spend_paths("gpt") == made.spend_paths("gpt")).all()
    assert more.spend_paths("claude") == pytest.approx(2 * made.spend_paths("claude"))


def test_an_unknown_driver_is_refused_by_name(made: DriverForecast) -> None:
    with pytest.raises(ValueError, match="no driver 'seats' of gpt"):
        made.scenario([(Edit(date(2026, 11, 1), factor=2.0), "gpt", "seats")], seed=1)


def test_machines_come_whole_and_what_is_committed_is_paid() -> None:
    load = np.array([0.0, 99.0, 100.0, 101.0, 450.0])
    assert fleet_cost(load, capacity=100, committed=2, rate=10.0).tolist() == [20.0, 20.0, 20.0, 20.0, 50.0]
    with pytest.raises(ValueError, match="some work a day"):
        fleet_cost(load, capacity=0, committed=0, rate=1.0)
