"""Stretches of anomalous days as one thing: when it began, whether it goes on, and what it has come to in money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly.baseline import WEEK
from models.anomaly.judge import Judged

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Episode:
    """Of series `row` of y: its days `first` to `last` (places in y), and whether the last day of y is still in it.

    Amounts are sums over its days, in the unit of y; one found in the sum of a week (`leak`) begins with that week.
    `found` is the day on which it was seen. `score` is the highest of its days.
    """

    row: int
    number: int
    first: int
    last: int
    found: int
    open: bool
    leak: bool
    expected: float
    actual: float
    score: float

    @property
    def impact(self) -> float:
        """What it has come to: actual less expected."""
        return self.actual - self.expected


@dataclass(frozen=True)
class Floors:
    """From which impact on an episode is worth anybody's time: above an amount and two shares of a usual day.

    `amount` is money; `scope_share` is of the expected day of the scope itself, `total_share` of the whole company's.
    """

    amount: float
    scope_share: float
    total_share: float

    def passed(self, impact: float, *, scope_day: float, total_day: float) -> bool:
        """Whether `impact` is above all three."""
        return impact > max(self.amount, self.scope_share * scope_day, self.total_share * total_day)


def episodes(y: Values, judged: Judged) -> list[Episode]:
    """The episodes of `y` (n, T), those that came to most first; `judged` is what `judge` said of it."""
    found = []
    for row, numbers in enumerate(judged.episode):
        days = np.flatnonzero(numbers)
        for number in np.unique(numbers[days]):
            inside = days[numbers[days] == number]
            found.append(_episode(y[row], judged, row, int(number), inside))
    return sorted(found, key=lambda one: (-one.impact, one.row, one.first))


def _episode(y: Values, judged: Judged, row: int, number: int, days: NDArray[np.int64]) -> Episode:
    begin, last = int(days[0]), int(days[-1])
    leak = bool(judged.leak[row, begin])
    first = max(begin - (WEEK - 1), 0) if leak else begin
    stretch = slice(first, last + 1)
    both = np.isfinite(y[stretch]) & np.isfinite(judged.expected[row, stretch])
    known = np.flatnonzero(np.isfinite(y))
    return Episode(
        row=row,
        number=number,
        first=first,
        last=last,
        found=begin,
        open=last == int(known[-1]),
        leak=leak,
        expected=float(judged.expected[row, stretch][both].sum()),
        actual=float(y[stretch][both].sum()),
        score=float(judged.score[row, days].max()),
    )
