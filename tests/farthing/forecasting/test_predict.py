"""A prediction adds up in points and paths, feels known events, and lands on cost to date and the rest."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from farthing import clock, warehouse
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.forecasting import history as histories
from farthing.forecasting.events import Event
from farthing.forecasting.history import Scope
from farthing.forecasting.predict import Landing, Prediction, landings, predict
from models.edits import Edit
from tests.farthing.forecasting.company import LAST, NOW, Quiet
from tests.farthing.forecasting.conftest import config_of

pytestmark = pytest.mark.slow  # a project is built and asked for each

TOTAL = Scope("total", None, "USD")


def predicted(
    config: Config, *events: Event, horizon: int = 45, as_of: date | None = None, model: str | None = None
) -> tuple[Prediction, list[Landing]]:
    with clock.fixed(NOW), warehouse.open_warehouse(config) as con:
        history = histories.read(con, config, as_of=as_of)
        made = predict(con, config, history, Quiet(), horizon=horizon, errors={}, events=list(events), model=model)
        return made, landings(con, made)


def rows_of(made: Prediction, dimension: str) -> list[int]:
    return [row for row, scope in enumerate(made.scopes) if scope.dimension == dimension]


@pytest.mark.parametrize("dimension", ["team", "model", "team x model"])
def test_parts_add_up_to_the_total_in_points_and_on_every_path(company: Path, dimension: str) -> None:
    made, _ = predicted(config_of(company))
    total = made.scopes.index(TOTAL)
    rows = rows_of(made, dimension)
    assert len(rows) > 1
    assert made.point[rows].sum(axis=0) == pytest.approx(made.point[total], rel=1e-6)
    assert made.paths[rows].sum(axis=0) == pytest.approx(made.paths[total], rel=1e-6)
    assert np.ptp(made.paths[total], axis=0).min() > 0
    assert (made.paths >= 0).all()


def test_the_same_seed_gives_the_same_paths_and_another_one_others(company: Path) -> None:
    first, again, other = (predicted(config_of(company, seed=seed))[0].paths for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_an_event_halves_every_day_from_its_first_on_and_keeps_sums_together(company: Path) -> None:
    first = LAST + timedelta(days=11)
    plain, _ = predicted(config_of(company))
    event = Event("half", "", "total", None, Edit(first, factor=0.5))
    made, _ = predicted(config_of(company), event)
    assert made.point[:, :10] == pytest.approx(plain.point[:, :10])
    assert made.point[:, 10:] == pytest.approx(plain.point[:, 10:] / 2)
    assert made.paths[rows_of(made, "team")].sum(axis=0) == pytest.approx(made.paths[0])


def test_a_landing_is_the_exact_cost_to_date_and_the_forecast_of_the_rest(company: Path) -> None:
    as_of = date(2026, 11, 20)
    made, landed = predicted(config_of(company), as_of=as_of)
    assert made.history.as_of == as_of
    [november, december] = [one for one in landed if one.scope == TOTAL]
    with warehouse.open_warehouse(config_of(company)) as con:
        [(cost,)] = con.execute(
            "select sum(cost) from cost_ledger where day between date '2026-11-01' and date '2026-11-20'"
        ).fetchall()
    assert november.actual == cost
    row = made.scopes.index(TOTAL)
    assert november.forecast == pytest.approx(float(cost) + made.point[row, :10].sum())
    assert november.quantiles["q10"] <= november.quantiles["q50"] <= november.quantiles["q90"]
    assert november.quantiles["q025"] > float(cost)
    assert (december.month, december.actual) == (date(2026, 12, 1), Decimal(0))


def test_a_month_that_ends_after_the_horizon_is_not_landed(company: Path) -> None:
    made, landed = predicted(config_of(company), as_of=date(2026, 11, 20), horizon=40)
    assert made.days[-1].item() == date(2026, 12, 30)
    assert {one.month for one in landed} == {date(2026, 11, 1)}


def test_a_history_carries_a_forecast_of_its_own_length_and_no_longer(company: Path) -> None:
    made, _ = predicted(config_of(company), horizon=365)
    assert (len(made.days), made.beyond) == (77, 288)
    young, _ = predicted(config_of(company), horizon=60, as_of=date(2026, 10, 20))
    assert (len(young.days), young.beyond) == (31, 29)


def test_a_scope_may_have_a_model_of_its_own_and_the_narrowest_one_wins(company: Path) -> None:
    overrides = {"team=search": "seasonal_naive", "pool": "weekday_median", "team=search x model=gpt": "theta"}
    made, _ = predicted(config_of(company, models=overrides))
    models = {scope.name: model for scope, model in zip(made.scopes, made.models, strict=True)}
    assert models["team=search x model=none"] == "seasonal_naive"
    assert models["team=search x model=gpt"] == "theta"
    assert models["team=search"] == "seasonal_naive and theta"
    assert models["team=support"] == "weekday_mean"
    assert models["pool=own"] == "weekday_median"
    forced, _ = predicted(config_of(company, models=overrides), model="seasonal_naive")
    assert set(forced.models) == {"seasonal_naive"}


def test_a_model_for_what_is_not_forecast_is_refused(company: Path) -> None:
    with pytest.raises(ConfigError, match="'region=eu' is no scope"):
        predicted(config_of(company, models={"region=eu": "theta"}))


def test_only_wanted_dimensions_are_there(company: Path) -> None:
    made, _ = predicted(config_of(company, scopes=["total", "pool"]))
    assert {scope.dimension for scope in made.scopes} == {"total", "pool"}
