"""Bills replayed day by day: those that are late never lower the history, the forecast or the landing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from farthing import clock, warehouse
from farthing.forecasting import history as histories
from farthing.forecasting.history import LEAVES, History, Scope
from farthing.forecasting.predict import landings, predict
from farthing.lake import Lake
from tests.farthing.build.world import DAY
from tests.farthing.forecasting.company import TEAMS, Quiet, built, day_of, world
from tests.farthing.forecasting.conftest import config_of

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]

#: Days that are there at once, and those that come one by one with a build each morning.
_BEFORE, _REPLAYED = 29, 15
_LAST = DAY + timedelta(days=_BEFORE + _REPLAYED - 1)


def replayed(folder: Path, late: str, lag: int) -> Path:
    """A build each morning, where the machines of the team `late` are billed `lag` days later."""
    config = config_of(folder)
    lake = Lake(config.lake_path)
    first = world()
    for number in range(_BEFORE):
        day_of(first, DAY + timedelta(days=number))
    first.land(lake)
    for number in range(_BEFORE, _BEFORE + _REPLAYED):
        today = DAY + timedelta(days=number)
        arrived = world()
        day_of(arrived, today, teams=[team for team in TEAMS if team != late])
        if number - lag >= _BEFORE:
            day_of(arrived, today - timedelta(days=lag), teams=[late], others=False)
        arrived.land(lake)
        arrived.build(folder, now=_morning(today + timedelta(days=1)))
    return folder


def foreseen(folder: Path) -> tuple[History, dict[str, float]]:
    """The history and the landings of November, by scope, on the last morning."""
    config = config_of(folder)
    with clock.fixed(_morning(_LAST + timedelta(days=1))), warehouse.open_warehouse(config) as con:
        history = histories.read(con, config)
        made = predict(con, config, history, Quiet(), horizon=30, errors={}, events=[])
        landed = [one for one in landings(con, made) if one.month == date(2026, 11, 1)]
        return history, {one.scope.name: one.forecast for one in landed}


def _morning(day: date) -> datetime:
    return datetime.fromisoformat(f"{day}T06:00:00+00:00")


def test_a_bill_that_is_two_days_late_is_completed_where_it_belongs(tmp_path: Path) -> None:
    whole = world()
    for number in range(_BEFORE + _REPLAYED):
        day_of(whole, DAY + timedelta(days=number))
    expected, landed = foreseen(built(tmp_path / "on-time", whole, now=_morning(_LAST + timedelta(days=1))))
    late, late_landed = foreseen(replayed(tmp_path / "late", "search", 2))
    assert late.as_of == expected.as_of == _LAST
    assert [one.day for one in late.late] == [_LAST - timedelta(days=1), _LAST]
    assert late.panel.y == pytest.approx(expected.panel.y, rel=0.2, nan_ok=True)
    assert late_landed == pytest.approx(landed, rel=0.02)
    machines = Scope(LEAVES, '["search",null]', "USD")
    with warehouse.open_warehouse(config_of(tmp_path / "late")) as con:
        [(known,)] = con.execute(
            "select coalesce(sum(cost), 0) from scope_days where dimension = $dimension and key = $key and day >= $day",
            {"dimension": machines.dimension, "key": machines.key, "day": _LAST - timedelta(days=1)},
        ).fetchall()
    completed = late.panel.y[late.scopes.index(machines), -2:].sum()
    assert float(known) < 0.5 * completed, "without completion it would be a drop"
