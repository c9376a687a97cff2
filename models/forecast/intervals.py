"""How wide a forecast is: what earlier ones missed by, pooled over series, on days and directly on sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.forecast.errors import ErrorStore, of_today
from models.series import Values

#: Own errors weigh as much as the pool when a series has this many horizons of them that do not overlap.
_OWN_HORIZONS = 4.0
#: Series of one panel err together: n of them are worth n to this power that do not.
_TOGETHER = 0.7
#: The part of the pool that is mirrored: a drift that all series shared is half forgotten, as the next may be opposite.
_MIRRORED = 0.75
#: Days tell more of a width than sums over the horizon do.
_DAYS_PER_SUM = 2.0
#: Errors older than this say little about now.
_MEMORY_DAYS = 365
#: From this many errors that do not hang together on, nothing is added to a store.
ENOUGH = 10.0
_LEAST_POOLED = 50
_STUDENT_WITHIN = (0.025, 0.975)
_THIRDS = 3
_LENGTHS = 5
_ADAPT_AT = 0.8
_ADAPT_FROM = 8
#: Of a normal error with mean absolute value 1, the deviation; half the native width is the least.
_DEVIATION = 1.2533
_LEAST_NATIVE = 0.5
#: Where nothing is known: a level that moves as Student's t with 3 degrees, and days about it.
_UNKNOWN_VECTORS = 400
_UNKNOWN_WORTH = 6.0


@dataclass(frozen=True)
class Pool:
    """Scaled errors (m, h) with no gap, one row for a series at an origin: `uid`, `origin`, `history_days` (m,)."""

    vectors: Values
    uid: NDArray[np.str_]
    origin: NDArray[np.datetime64]
    history_days: NDArray[np.int64]
    worth: float | None = None

    def independent(self) -> float:
        """How many errors that do not hang together the pool is worth: horizons that do not overlap, times series.

        `worth` where that is given.
        """
        if self.worth is not None:
            return self.worth
        origins = np.unique(self.origin)
        if not len(origins):
            return 0.0
        horizons = min(float(len(origins)), 1.0 + float((origins[-1] - origins[0]).astype(np.int64)) / self.horizon)
        return float(horizons * len(np.unique(self.uid)) ** _TOGETHER)

    @property
    def horizon(self) -> int:
        """Days of each row."""
        return int(self.vectors.shape[1])


def pool_of(
    store: ErrorStore, day: np.datetime64, horizon: int, uids: list[str] | None = None, scale: Values | None = None
) -> Pool:
    """The errors of the last year of `store` whose `horizon` days were over at the end of `day`.

    A longer forecast serves with its first steps. A day without an actual has the error of the known days about it;
    where fewer than half are known, the forecast does not serve. `scale` is that of `uids` today: see `of_today`.
    """
    today = dict(zip(uids or [], scale if scale is not None else [], strict=True))
    vectors, names, origins, histories = [np.empty((0, horizon))], [], [], []
    for errors in store.known_at(day).issued:
        age = (day - errors.origin).astype(np.int64)
        if errors.scaled.shape[1] < horizon or not horizon <= age <= _MEMORY_DAYS + horizon:
            continue
        cut = errors.scaled[:, :horizon]
        served = np.isfinite(cut).sum(axis=1) * 2 >= horizon
        then = errors.scale[served]
        now = of_today(
            then, np.array([today.get(uid, 0.0) for uid, kept in zip(errors.uids, served, strict=True) if kept])
        )
        vectors.append(_bridged(cut[served]) * np.divide(then, now, out=np.ones_like(then), where=now > 0)[:, None])
        names.append(np.asarray(errors.uids, dtype=str)[served])
        origins.append(np.full(int(served.sum()), errors.origin, "datetime64[D]"))
        histories.append(errors.history_days[served])
    if not names:
        return Pool(vectors[0], np.array([], str), np.array([], "datetime64[D]"), np.array([], np.int64))
    return Pool(np.concatenate(vectors), np.concatenate(names), np.concatenate(origins), np.concatenate(histories))


def _bridged(vectors: Values) -> Values:
    """Each row with a straight line between its known values."""
    steps = np.arange(vectors.shape[1])
    found = vectors.copy()
    for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)):
        known = np.isfinite(vectors[row])
        found[row] = np.interp(steps, steps[known], vectors[row, known])
    return found


def joined(pool: Pool, other: Pool) -> Pool:
    """The errors of both; `other` gives only those of origins that `pool` has not."""
    new = ~np.isin(other.origin, pool.origin)
    return Pool(
        np.concatenate([pool.vectors, other.vectors[new]]),
        np.concatenate([pool.uid, other.uid[new]]),
        np.concatenate([pool.origin, other.origin[new]]),
        np.concatenate([pool.history_days, other.history_days[new]]),
    )


def unknown(horizon: int) -> Pool:
    """What is drawn where no error is known at all: wide, and the same for every series."""
    generator = np.random.default_rng(0)
    level = _DEVIATION * generator.standard_t(3, size=(_UNKNOWN_VECTORS, 1))
    vectors = level + generator.normal(scale=_DEVIATION, size=(_UNKNOWN_VECTORS, horizon))
    names = np.array([f"{number}" for number in range(_UNKNOWN_VECTORS)])
    origins = np.full(_UNKNOWN_VECTORS, np.datetime64("1970-01-01", "D"))
    return Pool(vectors, names, origins, np.zeros(_UNKNOWN_VECTORS, np.int64), _UNKNOWN_WORTH)


def stretched(pool: Pool, horizon: int) -> Pool:
    """Errors of a shorter horizon repeated to `horizon`, growing with the root of the step as a random walk does."""
    known = pool.vectors.shape[1]
    steps = np.arange(horizon)
    growth = np.sqrt(np.maximum(1.0, (steps + 1) / known))
    return Pool(pool.vectors[:, steps % known] * growth, pool.uid, pool.origin, pool.history_days)


@dataclass(frozen=True)
class Bands:
    """Offsets from the point forecast at the levels asked for: `days` (n, levels, h) and `sums` (n, levels)."""

    days: Values
    sums: Values


@dataclass(frozen=True)
class Calibration:
    """What a pool of errors says of the `levels`, in units of the scale: by length of history, `thirds` and `sums`.

    `own` is by uid how much wider a series errs than others do; `horizon` is in days.
    """

    levels: Values
    horizon: int
    own: dict[str, float]
    thirds: dict[int, Values]
    sums: dict[int, Values]

    def bands(self, uids: list[str], scale: Values, history_days: NDArray[np.int64]) -> Bands:
        """The offsets of each series at the levels, in its own unit; `scale` and `history_days` are (n,)."""
        width = np.array([self.own.get(uid, 1.0) for uid in uids])
        third = np.minimum(np.arange(self.horizon) * _THIRDS // self.horizon, _THIRDS - 1)
        length = _length(history_days)
        by_day = np.stack([self.thirds[int(one)][third].T for one in length]) * width[:, None, None]
        of_sum = np.stack([self.sums[int(one)] for one in length]) * width[:, None]
        least = (_LEAST_NATIVE * _DEVIATION * _normal(self.levels))[:, None]
        lower = (self.levels < 0.5)[:, None]
        days = np.where(lower, np.minimum(by_day, least), np.maximum(by_day, least))
        return Bands(days * scale[:, None, None], of_sum * scale[:, None])


def calibrate(pool: Pool, levels: Values) -> Calibration:
    """The width of forecasts at `levels` (each between 0 and 1) by what earlier ones missed by.

    Split conformal prediction (Vovk et al. 2005; scaled scores as in Romano et al. 2019) on signed errors, pooled over
    the series of about the same length of history and over thirds of the horizon; the errors of a sum are taken from
    sums. A series that errs more or less than others by its scale has its band widened or narrowed as far as its own
    errors are many. Few errors widen the band as Student's t does; errors that have lately left the pooled 80 % band
    widen it by the root of what was lacking; half of the normal band of last week's value is the least for a day.
    """
    own, relative = _own_widths(pool)
    plain = pool.vectors / relative[:, None]
    worth = max(pool.independent(), 2.0)
    adapt = _slipped(plain, pool)
    horizon = plain.shape[1]
    third = np.minimum(np.arange(horizon) * _THIRDS // horizon, _THIRDS - 1)
    length = _length(pool.history_days)
    thirds, sums = {}, {}
    for group in range(_LENGTHS):
        like = length == group
        chosen = plain[like] if like.sum() >= _LEAST_POOLED else plain
        thirds[group] = adapt * np.stack(
            [
                _quantiles(chosen[:, third == min(part, int(third[-1]))].ravel(), levels, worth * _DAYS_PER_SUM)
                for part in range(_THIRDS)
            ]
        )
        sums[group] = adapt * _quantiles(chosen.sum(axis=1), levels, worth)
    return Calibration(levels, horizon, own, thirds, sums)


def _own_widths(pool: Pool) -> tuple[dict[str, float], Values]:
    """By series, and for each row of the pool: how much wider than others it errs, drawn towards 1."""
    size = np.abs(pool.vectors).mean(axis=1)
    names, rows = np.unique(pool.uid, return_inverse=True)
    count = np.bincount(rows)
    usual = max(float(np.median(size)), 1e-3 * float(size.mean()), 1e-9)  # one that went wild is not what is usual
    ratio = np.maximum(np.bincount(rows, size) / count / usual, 1e-3)
    day = pool.origin.astype(np.int64)
    first, last = np.full(len(names), np.iinfo(np.int64).max), np.full(len(names), np.iinfo(np.int64).min)
    np.minimum.at(first, rows, day)
    np.maximum.at(last, rows, day)
    worth = np.minimum(count, 1.0 + (last - first) / pool.vectors.shape[1])
    width = ratio ** (worth / (_OWN_HORIZONS + worth))
    return dict(zip(names.tolist(), width.tolist(), strict=True)), width[rows]


def _slipped(plain: Values, pool: Pool) -> float:
    """At least 1: the root of how much wider the newest errors are than the pool at its 80 % level."""
    newest = pool.origin == pool.origin.max()
    if newest.sum() < _ADAPT_FROM or (~newest).sum() < _ADAPT_FROM:
        return 1.0
    usual = max(float(np.quantile(np.abs(plain), _ADAPT_AT)), 1e-9)
    return float(max(1.0, float(np.quantile(np.abs(plain[newest]), _ADAPT_AT)) / usual) ** 0.5)


def _quantiles(errors: Values, levels: Values, worth: float) -> Values:
    """The quantiles of `errors`, partly mirrored, and as much wider as `worth` independent errors leave unknown."""
    from scipy import stats  # type: ignore[import-untyped]

    mirrored = np.quantile(np.concatenate([errors, -errors]), levels)
    found = (1.0 - _MIRRORED) * np.quantile(errors, levels) + _MIRRORED * mirrored
    within = np.clip(levels, *_STUDENT_WITHIN)  # beyond, few errors say nothing, and Student's t very much
    normal = _normal(within)
    student = stats.t.ppf(within, max(worth - 1.0, 1.5)) * np.sqrt(1.0 + 1.0 / worth)
    wider = np.divide(student, normal, out=np.ones_like(normal), where=np.abs(normal) > 1e-6)
    return np.asarray(np.maximum.accumulate(found * np.maximum(wider, 1.0)))


def _normal(levels: Values) -> Values:
    from scipy import stats

    return np.asarray(stats.norm.ppf(levels))


def _length(history_days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which histories are about as long: doublings of four weeks, (n,) from 0 to `_LENGTHS` - 1."""
    doubled = np.floor(np.log2(np.maximum(history_days, 28) / 28)).astype(np.int64)
    return np.asarray(np.minimum(doubled, _LENGTHS - 1))
