"""The level of cost per user, month by month: where it goes, and how far months stray from that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.pricing.plans import Floats

#: No month's level is known better than this, however quiet the few months seen were.
FLOOR = 0.05
#: How steep a trend may be expected, a month, before any is seen; it draws slopes of few months towards none.
SLOPE_PRIOR = 0.05
LEAST_MONTHS = 3


@dataclass(frozen=True)
class Level:
    """Logarithms of the mean cost of a user: by fitted month, and centre and scale of each month to come.

    A month to come is centre + scale x Student-t of `freedom` degrees.
    """

    fitted: Floats  # (months,)
    centre: Floats  # (horizon,)
    scale: Floats  # (horizon,)
    freedom: float
    slope: float
    residual: float  # standard deviation of months around the line, not below the floor


def fit(means: Floats, horizon: int) -> Level:
    """A line through the log levels of the months in `means`, with the predictive spread of months after them.

    Ridge regression on the month's number (its slope has the prior N(0, 0.05²)); the predictive variance is
    s² (1 + 1/n + x²/(S + s²/0.05²)), with s floored at 0.05, and n - 2 degrees of freedom, at least two.

    Raises:
        ValueError: fewer than three months, or a month that costs nothing.
    """
    count = len(means)
    if count < LEAST_MONTHS:
        raise ValueError(f"{count} month(s) cannot tell how much months differ; {LEAST_MONTHS} are the least")
    if not np.all(means > 0):
        raise ValueError("a month costs nothing in all, so its level has no logarithm")
    fitted = np.log(means)
    at = np.arange(count) - (count - 1) / 2
    spread = float(at @ at)
    raw = float(at @ fitted) / spread
    freedom = max(2.0, count - 2.0)
    rest = fitted - fitted.mean() - raw * at
    residual = max(FLOOR, float(np.sqrt(rest @ rest / freedom)))
    certain = spread + (residual / SLOPE_PRIOR) ** 2
    slope = raw * spread / certain
    ahead = np.arange(1, horizon + 1) + at[-1]
    scale = residual * np.sqrt(1 + 1 / count + ahead**2 / certain)
    return Level(fitted, fitted.mean() + slope * ahead, scale, freedom, slope, residual)
