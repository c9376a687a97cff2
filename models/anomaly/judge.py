"""Each day of each series against the days before it: a day far above, and a week that crept above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly.baseline import BASELINE_DAYS, WEEK, learn

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

#: From so many standard deviations on a day, or the mean of a week, stands out: measured by `benchmarks.anomalies`.
THRESHOLD = 3.1
#: After so many days a new level is no episode any more but how things are.
_LONGEST_EPISODE_DAYS = 10
#: A week crept up only if its last day is above the baseline as well, and most of its days are known.
_CREEPING_DEVIATIONS, _KNOWN_DAYS_OF_A_WEEK = 1.0, 6
#: The mean of seven days varies less than a day, but far more than it would if days were independent.
_WEEK_SPREAD = 0.8


@dataclass(frozen=True)
class Judged:
    """What became of each day, all of the shape of y (n, T); nan where a day cannot be judged.

    `expected` is in the unit of y: what the day would have been without the episode that it is in. `score` counts
    standard deviations; `flagged` is a score above the threshold. `episode` counts the episodes
    of a series from 1; 0 is in none. `leak` says that an episode which begins on that day was found in its week's sum.
    """

    expected: Values
    score: Values
    flagged: Flags
    episode: Counts
    leak: Flags


def judge(y: Values, *, known: Flags | None = None, threshold: float = THRESHOLD) -> Judged:
    """Judge every day of `y` (n series, T consecutive days; nan = no value known) by earlier days alone.

    `known` (n, T) marks days of announced events and holidays: they are neither flagged nor learned from. A day needs
    14 known days among the 28 before it. Only rises are flagged. See `models.anomaly.baseline` for the score.
    """
    n, days = y.shape
    told = np.zeros(y.shape, dtype=bool) if known is None else known
    found = Judged(
        np.full(y.shape, np.nan),
        np.full(y.shape, np.nan),
        np.zeros(y.shape, dtype=bool),
        np.zeros(y.shape, dtype=np.int64),
        np.zeros(y.shape, dtype=bool),
    )
    memory = _Memory(n, days)
    for day in range(days):
        rows = np.flatnonzero(np.isfinite(y[:, day]))
        if len(rows):
            _judge_day(y[rows, day], told[rows, day], rows, day, threshold, memory, found)
    return found


class _Memory:
    """What is remembered of each series: its days as later ones are judged by them, and the episode it is in."""

    def __init__(self, n: int, days: int) -> None:
        self.offset = BASELINE_DAYS + WEEK
        self.learned = np.full((n, days + self.offset), np.nan)
        self.season = np.ones((n, days))
        self.begin = np.full(n, -1)
        self.level, self.normal, self.memorable = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
        self.episodes = np.zeros(n, dtype=np.int64)

    def before(self, rows: Counts, day: int, days: int) -> Values:
        """The `days` days before `day`, shape (len(rows), days)."""
        return self.learned[rows, day + self.offset - days : day + self.offset]


def _judge_day(
    y: Values, told: Flags, rows: Counts, day: int, threshold: float, memory: _Memory, found: Judged
) -> None:
    """Judge `day` of the series `rows`, where its values are `y`."""
    base = learn(memory.before(rows, day, BASELINE_DAYS))
    score = base.deviations(y / base.season)
    week = _week_deviations(y, score, rows, day, memory)
    higher = np.fmax(score, week)
    flagged = (higher > threshold) & ~told
    found.score[rows, day] = higher
    found.flagged[rows, day] = flagged
    memory.season[rows, day] = base.season
    memory.learned[rows, day + memory.offset] = np.where(told, np.nan, y)

    level = y / base.season
    inside = memory.begin[rows] >= 0
    over = inside & ((level <= memory.normal[rows]) | told)
    settled = inside & ~over & (day - memory.begin[rows] >= _LONGEST_EPISODE_DAYS)
    for row in rows[over]:
        _forget(memory, row, day)
    memory.begin[rows[over | settled]] = -1

    opens = flagged & (memory.begin[rows] < 0) & ~settled
    begun = rows[opens]
    memory.begin[begun] = day
    memory.episodes[begun] += 1
    memory.level[begun] = base.level[opens]
    memory.normal[begun] = base.normal[opens]
    memory.memorable[begun] = base.memorable[opens]
    found.leak[rows, day] = opens & ~(score > threshold)
    going_on = memory.begin[rows] >= 0
    found.episode[rows, day] = np.where(going_on, memory.episodes[rows], 0)
    expected = np.where(going_on, memory.level[rows], base.level) * base.season
    found.expected[rows, day] = np.where(np.isfinite(score), expected, np.nan)


def _week_deviations(y: Values, score: Values, rows: Counts, day: int, memory: _Memory) -> Values:
    """How far the mean of the seven days up to `day` is above the 28 days before them; nan where nobody asks."""
    asked = (score > _CREEPING_DEVIATIONS) & (memory.begin[rows] < 0)
    deviations = np.full(len(rows), np.nan)
    if not asked.any():
        return deviations
    earlier = memory.before(rows[asked], day, BASELINE_DAYS + WEEK - 1)
    base = learn(earlier[:, :BASELINE_DAYS])
    week = np.column_stack([earlier[:, BASELINE_DAYS:], y[asked]]) / base.seasons
    enough = np.isfinite(week).sum(axis=1) >= _KNOWN_DAYS_OF_A_WEEK
    means = np.nansum(week, axis=1) / np.maximum(np.isfinite(week).sum(axis=1), 1)
    deviations[asked] = np.where(enough, base.deviations(means) / _WEEK_SPREAD, np.nan)
    return deviations


def _forget(memory: _Memory, row: np.int64, day: int) -> None:
    """The episode of `row` ended before `day`: later days are judged as if its own had been large, but no incident."""
    begin = memory.begin[row]
    stretch = slice(begin + memory.offset, day + memory.offset)
    most = memory.memorable[row] * memory.season[row, begin:day]
    memory.learned[row, stretch] = np.minimum(memory.learned[row, stretch], most)
