from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.forecast import Errors, ErrorStore, forecast
from models.forecast.backtest import backtest, carried_horizon
from models.forecast.errors import history_days, of_today, scales
from models.forecast.intervals import Pool, calibrate, joined, pool_of, stretched
from models.forecast.paths import calibrated, draw
from models.forecast.points import Asked
from tests.models.forecasts import FIRST, panel, weekly

_LEVELS = (np.arange(200) + 0.5) / 200
_Vectors = NDArray[np.float64]


def _errors(back: int, scaled: _Vectors, end: np.datetime64 = FIRST + 59) -> Errors:
    count = len(scaled)
    return Errors(end - back, [f"s{row}" for row in range(count)], np.full(count, 60), np.ones(count), scaled)


def _pool(vectors: _Vectors, series: int = 1, apart: int = 7) -> Pool:
    """Rows are series by series for each origin; origins are `apart` days from each other."""
    origin = FIRST + apart * (np.arange(len(vectors)) // series)
    uid = np.array([f"s{row % series}" for row in range(len(vectors))])
    return Pool(vectors, uid, origin, np.full(len(vectors), 60))


def _normal(count: int, horizon: int, seed: int = 0) -> _Vectors:
    return np.asarray(np.random.default_rng(seed).normal(size=(count, horizon)))


def test_the_scale_is_the_mean_absolute_difference_to_the_week_before() -> None:
    y = np.array([[1.0, 2, 3, 4, 5, 6, 7, 3, 2, np.nan, 4, 5, 6, 7, 3, 6, 9]])
    assert scales(y)[0] == pytest.approx((2 + 0 + 0 + 0 + 0 + 0 + 0 + 4) / 8)


def test_a_line_that_never_moved_has_a_half_percent_of_its_level_as_scale() -> None:
    assert scales(np.full((1, 30), 200.0))[0] == pytest.approx(1.0)
    assert scales(np.zeros((1, 30)))[0] == 0


def test_an_earlier_scale_is_at_least_half_of_todays() -> None:
    np.testing.assert_array_equal(of_today(np.array([0.0, 3.0]), np.array([8.0, 4.0])), [4.0, 3.0])


def test_the_length_of_a_history_counts_from_its_first_value() -> None:
    y = np.array([[np.nan, np.nan, 1, np.nan, 2], [np.nan] * 5])
    assert history_days(y).tolist() == [3, 0]
    assert history_days(np.empty((2, 0))).tolist() == [0, 0]


@given(arrays.arrays(np.float64, (3, 4), elements=st.one_of(st.just(np.nan), st.floats(-5, 5))), st.integers(1, 3))
def test_a_store_comes_back_from_its_columns(scaled: _Vectors, more: int) -> None:
    store = ErrorStore()
    store.add(_errors(9, scaled))
    store.add(_errors(9 - more, scaled[:, ::-1]))
    again = ErrorStore.from_columns(store.columns())
    for name, column in store.columns().items():
        np.testing.assert_array_equal(again.columns()[name], column)


def test_the_errors_of_an_origin_take_the_place_of_those_that_were_there() -> None:
    store = ErrorStore()
    store.add(_errors(9, np.zeros((1, 4))))
    store.add(_errors(9, np.ones((1, 4))))
    assert [one.scaled.tolist() for one in store.issued] == [[[1, 1, 1, 1]]]


def test_what_was_not_known_on_a_day_is_not_in_the_store_of_that_day() -> None:
    store = ErrorStore()
    store.add(_errors(2, np.ones((1, 4))))
    known = store.known_at(FIRST + 59)
    np.testing.assert_array_equal(known.issued[0].scaled, [[1, 1, np.nan, np.nan]])
    assert store.known_at(FIRST + 57).issued == []


def test_a_calibration_uses_no_error_of_its_own_future() -> None:
    world = panel(weekly(60))
    past = _errors(30, 3 * _normal(1, 7))
    alone, told = ErrorStore(), ErrorStore()
    alone.add(past)
    told.add(past)
    told.add(_errors(3, 1e6 * np.ones((1, 7))))
    told.add(_errors(-5, 1e6 * np.ones((1, 7))))
    one, two = (forecast(world, 7, model="weekday_mean", errors=store) for store in (alone, told))
    np.testing.assert_array_equal(one.paths, two.paths)


def test_a_forecast_serves_when_its_days_are_over_and_half_of_them_are_known() -> None:
    store = ErrorStore()
    gaps = np.array([[1, np.nan, 3, np.nan], [np.nan, np.nan, np.nan, 1.0]])
    store.add(_errors(4, gaps))
    store.add(_errors(3, np.ones((2, 4))))
    pool = pool_of(store, FIRST + 59, 4)
    assert pool.uid.tolist() == ["s0"]
    np.testing.assert_array_equal(pool.vectors, [[1, 2, 3, 3]])


def test_a_longer_forecast_serves_with_its_first_days_and_a_shorter_one_does_not() -> None:
    store = ErrorStore()
    store.add(_errors(20, np.arange(6.0)[None]))
    store.add(_errors(30, np.zeros((1, 3))))
    np.testing.assert_array_equal(pool_of(store, FIRST + 59, 4).vectors, [[0, 1, 2, 3]])


def test_errors_older_than_a_year_are_forgotten() -> None:
    store = ErrorStore()
    store.add(_errors(400, np.zeros((1, 4))))
    assert len(pool_of(store, FIRST + 59, 4).vectors) == 0


def test_an_error_of_a_line_that_was_still_then_is_judged_by_todays_scale() -> None:
    store = ErrorStore()
    store.add(_errors(10, np.full((1, 4), 8.0)))
    pool = pool_of(store, FIRST + 59, 4, ["s0"], np.array([16.0]))
    np.testing.assert_array_equal(pool.vectors, np.full((1, 4), 1.0))


def test_a_backtest_is_added_for_origins_that_the_store_has_not() -> None:
    mine, tried = _pool(np.zeros((2, 3))), _pool(np.ones((4, 3)))
    assert joined(mine, tried).vectors[:, 0].tolist() == [0, 0, 1, 1]


def test_the_interval_holds_for_errors_like_the_earlier_ones() -> None:
    calibration = calibrate(_pool(_normal(400, 10), series=20), _LEVELS)
    bands = calibration.bands(["new"], np.array([2.0]), np.array([60]))
    fresh = 2 * _normal(4000, 10, seed=1)
    inside = (fresh >= bands.days[0, 20]) & (fresh <= bands.days[0, 179])
    assert 0.78 < inside.mean() < 0.83
    total = fresh.sum(axis=1)
    assert 0.76 < ((total >= bands.sums[0, 20]) & (total <= bands.sums[0, 179])).mean() < 0.86


def test_the_sum_of_errors_that_hang_together_is_wider_than_of_those_that_do_not() -> None:
    together = np.repeat(_normal(400, 1), 10, axis=1)
    wide, narrow = (
        calibrate(_pool(errors, series=20), _LEVELS).bands(["x"], np.ones(1), np.array([60])).sums[0, 179]
        for errors in (together, _normal(400, 10))
    )
    assert wide == pytest.approx(np.sqrt(10) * narrow, rel=0.2)


def test_few_errors_give_a_wider_band_than_many_of_the_same_size() -> None:
    errors = _normal(2, 10)
    few, many = (calibrate(_pool(np.tile(errors, (times, 1)), apart=10), _LEVELS).sums[0][179] for times in (1, 20))
    assert few > 1.3 * many


def test_a_series_that_errs_more_than_others_has_a_wider_band_the_more_errors_it_has() -> None:
    errors = _normal(40, 10)
    errors[::2] *= 4
    few = calibrate(_pool(errors[:4], series=2, apart=10), _LEVELS).own
    many = calibrate(_pool(errors, series=2, apart=10), _LEVELS).own
    assert many["s0"] / many["s1"] > few["s0"] / few["s1"] > 1


def test_errors_that_lately_leave_the_band_widen_it_and_quiet_ones_do_not_narrow_it() -> None:
    errors = _normal(200, 10)
    newest = np.arange(200) >= 180
    loud, usual, quiet = (
        calibrate(_pool(np.where(newest[:, None], factor * errors, errors), series=20), _LEVELS).thirds[1][1, 179]
        for factor in (3.0, 1.0, 0.2)
    )
    assert loud > 1.25 * usual
    assert quiet == pytest.approx(usual, rel=0.12)


def test_a_day_is_never_narrower_than_half_the_normal_band_of_last_week() -> None:
    bands = calibrate(_pool(np.zeros((20, 5))), _LEVELS).bands(["s0"], np.array([3.0]), np.array([60]))
    assert bands.days[0, 179, 0] == pytest.approx(0.5 * 3 * 1.2533 * 1.2674, rel=1e-3)


def test_errors_known_for_fewer_days_are_drawn_wider_by_the_root_of_time() -> None:
    long = stretched(_pool(np.ones((1, 4))), 16)
    np.testing.assert_allclose(long.vectors[0, [0, 3, 7, 15]], [1, 1, np.sqrt(2), 2])


def test_a_history_is_tried_on_what_three_weeks_before_can_tell() -> None:
    assert carried_horizon(panel(weekly(100)), 30) == 30
    assert carried_horizon(panel(weekly(40)), 30) == 19
    assert carried_horizon(panel(weekly(27)), 30) == 0


def test_a_backtest_forecasts_each_origin_from_what_was_known_there() -> None:
    y = weekly(90)
    store = backtest(panel(y), 7, Asked("weekday_mean"))
    origin = store.issued[0].origin
    cut = panel(y).until(origin)
    issued = forecast(cut, 7, model="weekday_mean").errors(panel(y))
    np.testing.assert_allclose(store.issued[0].scaled, issued.scaled)
    assert store.issued[-1].origin == FIRST + 89 - 7


def test_the_paths_have_the_quantiles_of_the_bands_on_sums_exactly_and_on_days_nearly() -> None:
    pool = _pool(_normal(160, 10) + np.repeat(_normal(160, 1, 2), 10, axis=1), series=20)
    names, point, scale = ["s0", "s1"], np.full((2, 10), 1000.0), np.array([1.0, 5.0])
    bands = calibrate(pool, _LEVELS).bands(names, scale, np.full(2, 60))
    paths = calibrated(draw(pool, names, 200, np.random.default_rng(0)), point, bands, np.array([True, True]))
    np.testing.assert_allclose(np.sort(paths.sum(axis=2), axis=1), 10_000 + bands.sums, rtol=1e-9)
    off = (np.sort(paths, axis=1) - 1000 - bands.days)[:, [20, 179]] / scale[:, None, None]
    assert np.abs(off).max() < 0.25


def test_floored_paths_stay_at_or_above_zero_and_keep_the_sums_of_the_band() -> None:
    pool = _pool(_normal(160, 10), series=20)
    bands = calibrate(pool, _LEVELS).bands(["s0"], np.array([3.0]), np.array([60]))
    point = np.full((1, 10), 0.5)
    shapes = draw(pool, ["s0"], 200, np.random.default_rng(0))
    floored, free = (calibrated(shapes, point, bands, np.array([one])) for one in (True, False))
    assert floored.min() == 0
    assert free.min() < 0
    np.testing.assert_allclose(np.sort(floored.sum(axis=2))[0], np.maximum(5 + bands.sums[0], 0), atol=1e-9)


def test_what_erred_together_errs_together_ahead() -> None:
    one = np.repeat(_normal(60, 1), 10, axis=1)
    for other, expected in ((one, 0.8), (-one, -0.8)):
        vectors = np.stack([one, other], axis=1).reshape(120, 10)
        pool = _pool(vectors, series=2, apart=10)
        names = ["s0", "s1"]
        bands = calibrate(pool, _LEVELS).bands(names, np.ones(2), np.full(2, 60))
        shapes = draw(pool, names, 200, np.random.default_rng(0))
        total = calibrated(shapes, np.full((2, 10), 100.0), bands, np.array([True, True])).sum(axis=2)
        assert np.corrcoef(total)[0, 1] * np.sign(expected) > abs(expected)


def test_a_series_without_errors_borrows_anothers_of_the_same_origin() -> None:
    pool = _pool(_normal(40, 5), series=4)
    assert np.isfinite(draw(pool, ["new", "s1"], 50, np.random.default_rng(0))).all()


def test_what_an_issued_forecast_missed_by_comes_in_units_of_its_scale() -> None:
    y = weekly(80)
    made = forecast(panel(y).until(FIRST + 69), 14, model="weekday_mean")
    missed = made.errors(panel(y))
    np.testing.assert_allclose(missed.scaled[0, :10] * made.scale[0], y[70:] - made.point[0, :10])
    assert np.isnan(missed.scaled[0, 10:]).all()


def test_a_drift_that_all_errors_shared_may_turn() -> None:
    drift = 3 + 0.1 * _normal(100, 5)
    bands = calibrate(_pool(drift, series=20), _LEVELS).bands(["s0"], np.ones(1), np.array([60]))
    assert bands.sums[0, 20] < 0
    assert abs(bands.sums[0, 20]) < bands.sums[0, 179]
