"""Bills replayed day by day: those that are late never lower the history, the forecast or the landing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from farthing import clock, warehouse
from farthing.forecasting import history as histories
from farthing.forecasting.history import History
from farthing.forecasting.predict import landings, predict
from farthing.lake import Lake
from tests.farthing.build.world import DAY
from tests.farthing.forecasting.company import Quiet, day_of, world
from tests.farthing.forecasting.conftest import config_of

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]

#: Days that are there at once, and those that come one by one with a build each morning.
_BEFORE, _REPLAYED = 35, 18
_LAST = DAY + timedelta(days=_BEFORE + _REPLAYED - 1)


def replayed(folder: Path, late: dict[str, int]) -> tuple[History, dict[str, float]]:
    """The history and the landings of November, by scope, on the last morning, where bills of `late` teams lag."""
    config = config_of(folder)
    lake = Lake(config.lake_path)
    first = world()
    for number in range(_BEFORE):
        day_of(first, DAY + timedelta(days=number))
    first.land(lake)
    for number in range(_BEFORE, _BEFORE + _REPLAYED):
        today = DAY + timedelta(days=number)
        arrived = world()
        on_time = [team for team in ("search", "support") if not late.get(team)]
        day_of(arrived, today, teams=on_time)
        for team, lag in late.items():
            if number - lag >= _BEFORE:
                day_of(arrived, today - timedelta(days=lag), teams=[team], others=False)
        arrived.land(lake)
        arrived.build(folder, now=_morning(today + timedelta(days=1)))
    with clock.fixed(_morning(_LAST + timedelta(days=1))), warehouse.open_warehouse(config) as con:
        history = histories.read(con, config)
        made = predict(con, config, history, Quiet(), horizon=45, errors={}, events=[])
        landed = [one for one in landings(con, made) if one.month == date(2026, 11, 1)]
        return history, {one.scope.name: one.forecast for one in landed}


def _morning(day: date) -> datetime:
    return datetime.fromisoformat(f"{day}T06:00:00+00:00")


@pytest.fixture(scope="module")
def on_time(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, dict[str, float]]:
    return replayed(tmp_path_factory.mktemp("on-time") / "company", {})


def test_a_bill_that_is_two_days_late_is_completed_where_it_belongs(
    tmp_path: Path, on_time: tuple[History, dict[str, float]]
) -> None:
    history, landed = replayed(tmp_path / "company", {"search": 2})
    assert history.as_of == _LAST
    assert [one.day for one in history.late] == [_LAST - timedelta(days=1), _LAST]
    assert history.panel.y == pytest.approx(on_time[0].panel.y, rel=0.15, nan_ok=True)
    assert landed == pytest.approx(on_time[1], rel=0.015)


def test_days_of_which_most_is_late_are_left_out(tmp_path: Path, on_time: tuple[History, dict[str, float]]) -> None:
    history, landed = replayed(tmp_path / "company", {"search": 2, "support": 2})
    assert history.as_of == _LAST - timedelta(days=2)
    assert history.panel.y == pytest.approx(on_time[0].panel.y[:, :-2], nan_ok=True)
    assert landed == pytest.approx(on_time[1], rel=0.015)
