from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import ConfigError
from models.forecast import MODELS, KnownEvent, forecast
from models.forecast.cheap import seasonal_naive, weekday_mean, weekday_median
from models.forecast.fitted import History, filled, fit_all
from models.forecast.points import CHEAP, Asked, points
from models.forecast.prophets import prophet, prophet_default
from models.series import Panel
from tests.models.forecasts import FIRST, panel, weekly


def test_seasonal_naive_repeats_the_last_week() -> None:
    y = np.arange(28.0)[None]
    np.testing.assert_array_equal(seasonal_naive(y, 10)[0], [21, 22, 23, 24, 25, 26, 27, 21, 22, 23])


def test_a_weekday_without_a_value_last_week_is_that_of_the_week_before() -> None:
    y = np.arange(28.0)[None]
    y[0, 22] = np.nan
    np.testing.assert_array_equal(seasonal_naive(y, 3)[0], [21, 15, 23])


def test_weekday_mean_is_over_four_weeks_and_weekday_median_over_eight() -> None:
    y = np.repeat([1000.0, 0, 0, 0, 0, 10, 20, 60], 7)[None]
    assert weekday_mean(y, 1)[0, 0] == (0 + 10 + 20 + 60) / 4
    assert weekday_median(y, 1)[0, 0] == (0 + 10) / 2


@pytest.mark.parametrize("model", sorted(CHEAP))
@given(scale=st.floats(1e-6, 1e9), shift=st.floats(-1e6, 1e6), seed=st.integers(0, 9))
def test_another_unit_or_origin_of_amounts_gives_the_same_forecast_in_it(
    model: str, scale: float, shift: float, seed: int
) -> None:
    y = weekly(60, seed)[None]
    y[0, 13] = np.nan
    expected = CHEAP[model](y, 9) * scale + shift
    np.testing.assert_allclose(CHEAP[model](y * scale + shift, 9), expected, rtol=1e-9, atol=1e-9 * abs(shift))


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=14, max_size=40))
def test_gaps_are_filled_and_what_is_known_stays(values: list[float | None]) -> None:
    y = np.array([np.nan if value is None else value for value in values])
    known = np.isfinite(y)
    if known.any():
        found = filled(y)
        np.testing.assert_array_equal(found[known], y[known])
        assert found.min() >= y[known].min()
        assert found.max() <= y[known].max()


def test_a_gap_is_filled_by_the_same_weekday() -> None:
    y = np.tile([0.0, 0, 0, 0, 0, 70, 70], 4)
    expected = y.copy()
    y[12] = np.nan
    np.testing.assert_array_equal(filled(y), expected)


@pytest.mark.slow
def test_a_default_forecast_is_the_median_of_its_members() -> None:
    world = panel(weekly(60), weekly(45, 1))
    members = [points(world, 12, Asked(name)).values for name in ("theta", *CHEAP)]
    np.testing.assert_allclose(points(world, 12, Asked("quick")).values, np.median(members, axis=0))


@pytest.mark.heavy
@pytest.mark.parametrize("model", MODELS)
def test_every_model_meets_a_plain_week_better_than_its_mean(model: str) -> None:
    y = weekly(120, noise=1.0)
    made = points(panel(y[:106]), 14, Asked(model))
    assert made.notes == [""]
    assert np.abs(made.values[0] - y[106:]).mean() < 0.5 * np.abs(y[106:] - y[:106].mean()).mean()


@pytest.mark.parametrize("model", ["theta", "ets", "quick"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_fitted_models_do_not_care_for_the_unit(model: str, scale: float) -> None:
    expected = points(panel(weekly(60)), 7, Asked(model)).values * scale
    np.testing.assert_allclose(points(panel(weekly(60) * scale), 7, Asked(model)).values, expected, rtol=1e-6)


@pytest.mark.parametrize("model", ["quick", "theta", "seasonal_naive"])
def test_what_was_never_negative_is_not_forecast_to_be_and_credits_keep_their_sign(model: str) -> None:
    falling = np.maximum(400.0 - 5 * np.arange(80), 0.0) + np.tile([0.0, 9, 0, 0, 0, 0, 0], 12)[:80]
    made = forecast(panel(falling, -weekly(80)), 30, model=model)
    assert made.paths[0].min() >= 0
    assert made.point[0].min() >= 0
    assert (made.point[1] < 0).all()


@pytest.mark.parametrize(
    ("values", "note"),
    [
        pytest.param(weekly(9), "too short (9 days): run-rate", id="short"),
        pytest.param(weekly(20), "young (20 days): weekday mean and theta", id="young"),
        pytest.param(np.full(60, 7.0), "constant", id="constant"),
        pytest.param(np.append(weekly(60), [np.nan] * 3), "no value for the last 3 days", id="ended"),
        pytest.param(np.append(weekly(9), [np.nan] * 200), "no value in the last 180 days: no forecast", id="gone"),
        pytest.param(weekly(60), "", id="plain"),
    ],
)
def test_what_a_history_cannot_carry_is_said(values: list[float], note: str) -> None:
    made = forecast(panel(values, weekly(80, 3)), 7, model="quick")
    assert made.notes[0].startswith(note)
    assert bool(made.notes[0]) == bool(note)
    assert np.isfinite(made.point[0]).all() == ("no forecast" not in note)


def test_a_short_history_has_its_mean_and_a_band_as_wide_as_a_quarter_of_it() -> None:
    made = forecast(panel([80.0, 81, 80, 81, 80]), 10, model="quick")
    np.testing.assert_allclose(made.point, 80.4)
    assert (made.quantile(0.9) - made.quantile(0.1) > 0.25 * 80).all()


def test_a_series_that_ended_is_forecast_for_the_days_after_the_origin() -> None:
    rising = np.arange(100.0) + np.tile([0.0, 5, 0, 0, 0, 0, 0], 15)[:100]
    whole = points(panel(rising[:90]), 17, Asked("theta")).values[:, 10:]
    ended = points(panel(np.append(rising[:90], [np.nan] * 10)), 7, Asked("theta")).values
    np.testing.assert_allclose(ended, whole)


def test_a_fit_that_fails_is_said_and_the_weekday_mean_stands_in() -> None:
    def fails(history: History) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        raise RuntimeError("no optimum")

    history = History(np.arange(FIRST, FIRST + 30), weekly(30), 5, 5)
    assert fit_all({"fails": fails}, [history])["fails"] == [None]
    assert fit_all({"says nan": lambda _: np.full(5, np.nan)}, [history])["says nan"] == [None]


@pytest.mark.heavy
def test_prophet_is_brought_to_a_level_that_moved_in_the_last_days() -> None:
    week = np.tile([0.0, 3, 0, 0, 0, 1, 0], 9)[:60]
    history = History(np.arange(FIRST, FIRST + 60), np.where(np.arange(60) < 56, 100.0, 160.0) + week, 7, 7)
    repaired, plain = (abs(model(history).mean() - 160.6) for model in (prophet, prophet_default))
    assert repaired < 0.25 * plain


@pytest.mark.heavy
def test_prophet_knows_the_days_that_the_user_names() -> None:
    days = np.arange(FIRST, FIRST + 70)
    y = np.full(70, 100.0) + np.tile([3.0, 0, 0, 0, 0, 0, 0], 10)
    launches = [20, 41, 62, 73]
    y[launches[:3]] = 400
    events = [(date.fromordinal(date(2026, 1, 1).toordinal() + day), "launch") for day in launches]
    ahead = prophet(History(days, y, 7, 7), events=events)
    assert ahead[3] > 2 * np.delete(ahead, 3).max()


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="ensemble"):
        forecast(panel(weekly(60)), 7, model="oracle")


def test_a_horizon_of_no_day_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        forecast(panel(weekly(60)), 0)


def test_a_panel_without_a_day_is_refused() -> None:
    with pytest.raises(ConfigError, match="no series has a value"):
        forecast(panel(weekly(60)).until(np.datetime64("2020-01-01")), 7)


def test_a_known_event_edits_the_days_from_its_first_on_of_its_series_alone() -> None:
    world = panel(weekly(60), weekly(60, 1))
    plain = forecast(world, 10, model="weekday_mean")
    cut = KnownEvent("commitment ends", date(2026, 3, 5), factor=0.5, uids=frozenset({"s1"}))
    day = KnownEvent("move", date(2026, 3, 3), date(2026, 3, 4), amount=1000.0)
    dearer = KnownEvent("dearer", date(2026, 3, 4), date(2026, 3, 4), factor=2.0)
    made = forecast(world, 10, model="weekday_mean", known_events=[cut, day])
    both = forecast(world, 3, model="weekday_mean", known_events=[day, dearer])
    np.testing.assert_allclose(both.point[0, 2], 2 * (plain.point[0, 2] + 1000))
    assert made.days[0].astype(str) == "2026-03-02"
    np.testing.assert_allclose(made.point[0] - plain.point[0], [0, 1000, 1000] + [0] * 7)
    np.testing.assert_allclose(made.point[1] / plain.point[1], [1, *(1 + 1000 / plain.point[1, 1:3]), *[0.5] * 7])
    np.testing.assert_allclose(made.paths[1, :, 3:], 0.5 * plain.paths[1, :, 3:])


def test_an_event_before_the_origin_is_in_the_history_and_edits_nothing() -> None:
    world = panel(weekly(60))
    event = KnownEvent("price change", date(2026, 2, 1), factor=3.0)
    plain, told = (forecast(world, 5, model="weekday_mean", known_events=events) for events in ([], [event]))
    np.testing.assert_array_equal(told.paths, plain.paths)


def test_a_forecast_does_not_know_what_came_after_its_origin() -> None:
    whole = weekly(100)
    other = np.append(whole[:70], whole[70:] * 9)
    origin = FIRST + 69
    one, two = (forecast(panel(y).until(origin), 14, model="quick") for y in (whole, other))
    np.testing.assert_array_equal(one.paths, two.paths)


@pytest.mark.heavy
def test_one_process_and_two_give_the_same_forecast_bit_for_bit() -> None:
    world = panel(*(weekly(36, seed) for seed in range(26)))
    one, two = (forecast(world, 7, model="ensemble", processes=count) for count in (1, 2))
    np.testing.assert_array_equal(one.point, two.point)
    np.testing.assert_array_equal(one.paths, two.paths)


def test_a_seed_gives_the_same_paths_and_another_seed_others_about_the_same_points() -> None:
    world = panel(weekly(60))
    one, again, other = (forecast(world, 7, model="weekday_mean", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.paths, again.paths)
    np.testing.assert_array_equal(one.point, other.point)
    assert (one.paths != other.paths).any()


def test_progress_counts_every_series_of_the_forecast_and_of_the_backtest() -> None:
    begun: list[tuple[str, int]] = []
    done: list[int] = []
    forecast(
        panel(weekly(90), weekly(90, 1)),
        7,
        model="quick",
        begin=lambda what, count: begun.append((what, count)),
        advance=done.append,
    )
    assert [what for what, _ in begun] == ["forecasts", "forecasts of days that are known"]
    assert sum(done) == sum(count for _, count in begun)


def test_only_so_much_history_is_looked_at() -> None:
    y = weekly(300)
    older = replace_first(panel(y), 100, 1e6)
    one, two = (points(world, 7, Asked("quick")).values for world in (panel(y), older))
    np.testing.assert_array_equal(one, two)


def replace_first(world: Panel, count: int, value: float) -> Panel:
    y = world.y.copy()
    y[:, :count] = value
    return replace(world, y=y)


@pytest.mark.heavy
def test_fits_leave_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    world = panel(*(weekly(40, seed) for seed in range(26)))
    forecast(world, 5, model="prophet", processes=2)
    assert list(tmp_path.iterdir()) == []
