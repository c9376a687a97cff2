"""Sample paths: whole futures of all series together, whose days and sums have the calibrated intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecast.intervals import Bands, Pool
from models.series import Values

#: A path is the errors of one origin and, by this part, those of another series: few origins still make many paths.
_OTHER = 0.35
#: As the pool is mirrored for the bands, so are paths.
_FLIPPED = 0.375
_ROUNDS = 3


def draw(pool: Pool, uids: list[str], count: int, generator: np.random.Generator) -> Values:
    """Shapes of `count` futures, (n, count, h), in no unit: each path is what was missed from one calendar origin.

    All series take the same origin in a path, so that what erred together in the past errs together ahead, over days
    and over series; a series without errors of that origin borrows another's.
    """
    origins, place = np.unique(pool.origin, return_inverse=True)
    rows = _rows(pool, uids, place, len(origins), generator)
    chosen = np.resize(generator.permutation(len(origins)), count)
    other = generator.integers(len(pool.vectors), size=(len(uids), count))
    sign = np.where(generator.random(count) < _FLIPPED, -1.0, 1.0)
    shapes = pool.vectors[rows[:, chosen]] + _OTHER * pool.vectors[other]
    return np.asarray(shapes * sign[None, :, None])


def _rows(
    pool: Pool, uids: list[str], place: NDArray[np.intp], origins: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The row of the pool of each series at each origin, (n, origins): its own, else one of that origin by lot."""
    number = {uid: row for row, uid in enumerate(uids)}
    found = np.empty((len(uids), origins), np.int64)
    for origin in range(origins):
        there = np.flatnonzero(place == origin)
        found[:, origin] = generator.choice(there, size=len(uids))
        for row in there:
            mine = number.get(str(pool.uid[row]))
            if mine is not None:
                found[mine, origin] = row
    return found


def calibrated(shapes: Values, point: Values, offsets: Bands, floored: NDArray[np.bool_]) -> Values:
    """Paths (n, S, h) with the ranks of `shapes` and the values that the bands give to those ranks.

    `offsets` are at the levels (1/2, 3/2, ...) / S. Day by day the path of rank r gets the day's r-th value (the
    Schaake shuffle, Clark et al. 2004), then its whole is moved so that the sums of the paths are those of the band of
    the sum; both in turn, sums last. `floored` series stay at or above 0.
    """
    horizon = shapes.shape[2]
    days, sums = point[:, None, :] + offsets.days, point.sum(axis=1)[:, None] + offsets.sums
    days = np.where(floored[:, None, None], np.maximum(days, 0.0), days)
    sums = np.where(floored[:, None], np.maximum(sums, 0.0), sums)
    paths, found = shapes, np.empty_like(shapes)
    for _ in range(_ROUNDS):
        found = np.empty_like(shapes)
        np.put_along_axis(found, np.argsort(paths, axis=1, kind="stable"), days, axis=1)
        wanted = np.empty_like(sums)
        np.put_along_axis(wanted, np.argsort(found.sum(axis=2), axis=1, kind="stable"), sums, axis=1)
        paths = _summing(found, wanted, horizon, floored)
    return paths


def _summing(paths: Values, wanted: Values, horizon: int, floored: NDArray[np.bool_]) -> Values:
    """`paths` moved so that they add up to `wanted` (n, S): evenly, and where 0 stops that, in proportion."""
    moved = paths + ((wanted - paths.sum(axis=2)) / horizon)[:, :, None]
    kept = np.maximum(moved, 0.0)
    total = kept.sum(axis=2)
    share = np.divide(wanted, total, out=np.zeros_like(wanted), where=total > 0)
    return np.asarray(np.where(floored[:, None, None], kept * share[:, :, None], moved))
