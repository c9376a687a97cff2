"""Forecasts that are a look at the calendar: last week, the mean or the median of the same weekdays."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from models.series import Values

WEEK = 7
_MEAN_WEEKS = 4
_MEDIAN_WEEKS = 8


def seasonal_naive(y: Values, horizon: int) -> Values:
    """The last known value of the same weekday (of the last 8 weeks). `y` (n, T) ends at the origin; (n, horizon)."""
    weeks = _weeks(y, _MEDIAN_WEEKS)
    last = np.full((len(y), WEEK), np.nan)
    for week in range(weeks.shape[1]):
        last = np.where(np.isfinite(weeks[:, week]), weeks[:, week], last)
    return _ahead(last, y, horizon)


def weekday_mean(y: Values, horizon: int) -> Values:
    """The mean of the same weekday over the last 4 weeks, (n, horizon)."""
    return _ahead(_quiet(np.nanmean, _weeks(y, _MEAN_WEEKS)), y, horizon)


def weekday_median(y: Values, horizon: int) -> Values:
    """The median of the same weekday over the last 8 weeks, (n, horizon)."""
    return _ahead(_quiet(np.nanmedian, _weeks(y, _MEDIAN_WEEKS)), y, horizon)


def run_rate(y: Values, horizon: int) -> Values:
    """The mean of the known values of the last 4 weeks for every day, (n, horizon): what short histories carry."""
    return np.repeat(level(y)[:, None], horizon, axis=1)


def level(y: Values) -> Values:
    """The mean of the known values of the last 4 weeks, else of all; (n,), nan for a series without a value."""
    recent = _quiet(np.nanmean, y[:, None, -_MEAN_WEEKS * WEEK :].transpose(0, 2, 1))[:, 0]
    return np.where(np.isfinite(recent), recent, _quiet(np.nanmean, y[:, :, None])[:, 0])


def _weeks(y: Values, count: int) -> Values:
    """The last `count` weeks as (n, count, 7); the first of the 7 is the weekday of the day after the origin."""
    padded = np.full((len(y), count * WEEK), np.nan)
    kept = min(y.shape[1], count * WEEK)
    if kept:
        padded[:, -kept:] = y[:, -kept:]
    return padded.reshape(len(y), count, WEEK)


def _ahead(profile: Values, y: Values, horizon: int) -> Values:
    """A profile (n, 7) laid out over the horizon; a weekday without a value takes the level of the series."""
    known = np.where(np.isfinite(profile), profile, level(y)[:, None])
    return known[:, np.arange(horizon) % WEEK]


def _quiet(over: Callable[..., Values], values: Values) -> Values:
    """`over` the second axis of (n, weeks, k); nan, without a warning, where no value is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "mean of empty slice": that is what nan says
        return np.asarray(over(values, axis=1), dtype=np.float64)
