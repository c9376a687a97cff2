"""What the 28 days before a day say of it: level, weekday profile and spread, on a scale that is like a logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

WEEK = 7
BASELINE_DAYS = 28
#: Fewer known days than that say nothing.
FEWEST_DAYS = 14
#: Amounts below this part of the usual one are about equally small: the scale is linear there, logarithmic above.
_LINEAR_PART = 0.2
#: Spend that never varied is not judged to the cent: the spread is at least 5 %.
_LEAST_SPREAD = 0.05
#: Weekdays count when they explain at least this part of the variance of the amounts; else they would only add noise.
_LEAST_EXPLAINED = 0.5
_LEAST_RATIO = 1e-3
_NORMAL_DEVIATIONS = 1.5
#: Six standard deviations of what was really seen: little where days are alike, so that the next incident is not hidden
#: by the last one; much where they are not, so that a series that often jumps is judged as one that does.
_MEMORABLE_DEVIATIONS = 6.0


@dataclass(frozen=True)
class Baseline:
    """Of n series; deseasonalised amounts are y divided by `season`, the factor of the day after the baseline.

    `seasons` (n, 7) are the factors of the seven days after the baseline, of which `season` (n) is the first; `level`
    (n) is the usual deseasonalised amount. On the scale asinh(y / (2 unit)), `mean` and `seen_spread` are those of the
    baseline; the spread is the root mean square of what lies above the mean, because only rises are judged. `spread` is
    the one that days are judged by: no less than 5 %, and wider where fewer than 28 days are known.
    """

    seasons: Values
    unit: Values
    mean: Values
    seen_spread: Values
    spread: Values

    @property
    def season(self) -> Values:
        """The factor of the day that follows the baseline, shape (n)."""
        return np.asarray(self.seasons[:, 0])

    @property
    def level(self) -> Values:
        """The usual deseasonalised amount, shape (n)."""
        return self._amount(self.mean)

    @property
    def normal(self) -> Values:
        """Up to this deseasonalised amount a day is normal: 1.5 standard deviations above the mean, shape (n)."""
        return self._amount(self.mean + _NORMAL_DEVIATIONS * self.spread)

    @property
    def memorable(self) -> Values:
        """The most that a day of an incident counts for in later baselines, deseasonalised, shape (n)."""
        return self._amount(self.mean + _MEMORABLE_DEVIATIONS * self.seen_spread)

    def deviations(self, amounts: Values) -> Values:
        """How many standard deviations the deseasonalised `amounts` (n) are above the mean."""
        return np.asarray((_scaled(amounts, self.unit) - self.mean) / self.spread)

    def _amount(self, scaled: Values) -> Values:
        return np.asarray(2 * self.unit * np.sinh(scaled))


def learn(before: Values) -> Baseline:
    """The baseline of `before` (n, 28), oldest day first, nan where nothing is known.

    All is nan for a series with fewer than 14 known days, or with nothing but zeros: such have no usual amount.
    """
    n = len(before)
    known = np.isfinite(before)
    count = known.sum(axis=1)
    size = np.where(known, np.abs(before), 0.0).sum(axis=1) / np.maximum(count, 1)
    median = _median(before)
    usable = (count >= FEWEST_DAYS) & (size > 0)
    unit = np.where(usable, _LINEAR_PART * np.maximum(np.abs(median), size), np.nan)

    by_week = before.reshape(n, BASELINE_DAYS // WEEK, WEEK)
    seasons = _seasons(by_week, median)
    as_seen, in_season = (_moments((by_week / one).reshape(n, -1)) for one in (1.0, seasons))
    explained = in_season.variance < (1 - _LEAST_EXPLAINED) * as_seen.variance
    seasons = np.where(explained[:, None, None], seasons, 1.0)
    scaled = _moments(_scaled((by_week / seasons).reshape(n, -1), unit[:, None]))
    seen_spread = np.sqrt(scaled.upper_variance)
    spread = np.maximum(seen_spread, _LEAST_SPREAD) * np.sqrt(BASELINE_DAYS / np.maximum(count, 1))
    return Baseline(seasons.reshape(n, WEEK), unit, scaled.mean, seen_spread, spread)


def _seasons(by_week: Values, median: Values) -> Values:
    """The factor of each weekday, shape (n, 1, 7): its median over the median of all; 1 where that cannot be said."""
    often = np.isfinite(by_week).sum(axis=1) > 1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = _median(by_week.transpose(0, 2, 1)) / median[:, None]
    said = often & (ratios > _LEAST_RATIO) & (ratios < 1 / _LEAST_RATIO)
    return np.where(said, ratios, 1.0)[:, None, :]


def _scaled(amounts: Values, unit: Values) -> Values:
    """asinh: a logarithm of large amounts that takes zeros and credits as they are."""
    return np.asarray(np.arcsinh(amounts / (2 * unit)))


class _Moments(NamedTuple):
    """Each of shape (n); the upper variance is twice the mean square above the mean, as of a symmetric distribution."""

    mean: Values
    variance: Values
    upper_variance: Values


def _moments(values: Values) -> _Moments:
    """The moments along the last axis of (n, T); nan counts for nothing."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, values, 0.0).sum(axis=1) / count
    distance = np.where(known, values - mean[:, None], 0.0)
    upper = 2 * (np.maximum(distance, 0.0) ** 2).sum(axis=1) / count
    return _Moments(np.where(known.any(axis=1), mean, np.nan), (distance**2).sum(axis=1) / count, upper)


def _median(values: Values) -> Values:
    """The median along the last axis; nan counts for nothing, and is the median of nothing."""
    ordered = np.sort(values, axis=-1)  # nan come last
    count = np.isfinite(values).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    return np.asarray(np.where(count > 0, (low + high) / 2, np.nan)[..., 0])
