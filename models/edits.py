"""Known future events as dated edits of sample paths: a price change, a launch, an order of GPUs, a credit's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class Edit:
    """From `first` to `last` (both included; None: for good) a value y is y * factor + amount.

    `amount` is per day and for all rows that the edit is applied to together. `certainty` is the share of the paths in
    which it happens.
    """

    first: date
    last: date | None = None
    factor: float = 1.0
    amount: float = 0.0
    certainty: float = 1.0


def edited(
    point: Floats, paths: Floats, days: Days, edits: Sequence[tuple[Edit, Sequence[int]]], *, seed: int
) -> tuple[Floats, Floats]:
    """`point` (n, h) and `paths` (n, S, h) on `days` (h), with each edit applied to its rows, in their order.

    In the point an edit counts with its certainty, as an expectation. Which paths an edit of certainty < 1 takes is
    drawn from `seed` and its place in the list, the same for all rows: one event happens to all of them or to none.
    An amount is shared among rows in proportion to their point on the day. A deduction takes no more than is there: a
    path that was not negative ends at 0 and no lower.

    An edit that began before the first of `days` is in the history already, and so in the forecast; what is still to
    come is its end, which undoes it.
    """
    point, paths = point.copy(), paths.copy()
    for number, (edit, rows) in enumerate(edits):
        chosen = list(rows)
        if not chosen:
            continue
        during, factor, amount = _effect(edit, days)
        if not during.any():
            continue
        happens = np.zeros(paths.shape[1], dtype=bool)
        order = np.random.default_rng([seed, number]).permutation(paths.shape[1])
        happens[order[: round(edit.certainty * paths.shape[1])]] = True
        added = amount * _shares(point[chosen])  # (rows, h)
        old = point[chosen]
        new = _floored(old * factor + added, old)
        point[chosen] = np.where(during, old + edit.certainty * (new - old), old)
        before = paths[chosen]
        after = _floored(before * factor + added[:, None, :], before)
        paths[chosen] = np.where(during & happens[:, None], after, before)
    return point, paths


def _effect(edit: Edit, days: Days) -> tuple[NDArray[np.bool_], float, float]:
    """On which days something changes, by which factor and by which amount."""
    last = np.datetime64(edit.last) if edit.last is not None else None
    if np.datetime64(edit.first) >= days[0]:
        during = days >= np.datetime64(edit.first)
        return (during & (days <= last) if last is not None else during), edit.factor, edit.amount
    if last is None or last < days[0] or not edit.factor:  # over, for good, or nothing left that could be scaled back
        return np.zeros(len(days), dtype=bool), 1.0, 0.0
    return days > last, 1 / edit.factor, -edit.amount / edit.factor


def _shares(point: Floats) -> Floats:
    """The share of each row (n, h) in the sum of the day; equal shares where there is no sum."""
    weights = np.maximum(point, 0.0)
    total = weights.sum(axis=0, keepdims=True)
    return np.where(total > 0, weights / np.where(total > 0, total, 1.0), 1 / len(point))


def _floored(new: Floats, old: Floats) -> Floats:
    return np.maximum(new, np.minimum(old, 0.0))
