"""Small worlds of daily series for the tests of forecasts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import Panel

FIRST = np.datetime64("2026-01-01", "D")


def panel(*series: NDArray[np.float64] | list[float]) -> Panel:
    """The series s0, s1, ..., all ending on the same day."""
    longest = max(len(one) for one in series)
    y = np.full((len(series), longest), np.nan)
    for row, one in enumerate(series):
        y[row, longest - len(one) :] = one
    return Panel([f"s{row}" for row in range(len(series))], np.arange(FIRST, FIRST + longest), y)


def weekly(days: int, seed: int = 0, noise: float = 5.0) -> NDArray[np.float64]:
    """A level of 100 with a week of 20 to either side, and noise."""
    generator = np.random.default_rng(seed)
    week = 20 * np.sin(2 * np.pi * np.arange(days) / 7)
    return np.asarray(100 + week + noise * generator.normal(size=days))
