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

    `amount` is per day. `certainty` is the share of the paths in which it happens.
    """

    first: date
    last: date | None = None
    factor: float = 1.0
    amount: float = 0.0
    certainty: float = 1.0


@dataclass(frozen=True)
class Reach:
    """How much of an edit each row feels.

    `share` (n,) is the part of a row that the factor is about: of a row that is 40 % of what halves in price, a fifth
    goes. `part` (n,) is the part of the amount that falls on the row.
    """

    share: Floats
    part: Floats


def edited(
    point: Floats, paths: Floats, days: Days, edits: Sequence[tuple[Edit, Reach]], *, seed: int
) -> tuple[Floats, Floats]:
    """`point` (n, h) and `paths` (n, S, h) on `days` (h,) with the edits applied in their order.

    In the point an edit counts with its certainty, as an expectation. Which paths an edit of certainty < 1 takes is
    drawn from `seed` and its place in the list, the same for all rows: one event happens to all of them or to none.
    A deduction takes no more than is there: a path that was not negative ends at 0 and no lower.

    An edit that began before the first of `days` is in the history already, and so in the forecast; what is still to
    come is its end, which undoes it.
    """
    point, paths = point.copy(), paths.copy()
    samples = paths.shape[1]
    for number, (edit, reach) in enumerate(edits):
        order = np.random.default_rng([seed, number]).permutation(samples)
        happens = np.zeros(samples, dtype=bool)
        happens[order[: round(edit.certainty * samples)]] = True
        factor, amount = 1 + reach.share * (edit.factor - 1), reach.part * edit.amount
        during = _during(edit, days)
        if np.datetime64(edit.first) < days[0]:
            scaled = factor != 0  # nothing is left of the others that could be scaled back
            factor, amount = np.divide(1.0, factor, out=np.ones_like(factor), where=scaled), -amount
            amount = amount * factor
        new = _floored(point * factor[:, None] + amount[:, None], point)
        point = np.where(during, point + edit.certainty * (new - point), point)
        after = _floored(paths * factor[:, None, None] + amount[:, None, None], paths)
        paths = np.where(during & happens[:, None], after, paths)
    return point, paths


def _during(edit: Edit, days: Days) -> NDArray[np.bool_]:
    """On which of `days` the edit changes something."""
    last = None if edit.last is None else np.datetime64(edit.last)
    if np.datetime64(edit.first) >= days[0]:
        begun = days >= np.datetime64(edit.first)
        return begun if last is None else begun & (days <= last)
    if last is None or last < days[0]:
        return np.zeros(len(days), dtype=bool)
    over: NDArray[np.bool_] = days > last
    return over


def _floored(new: Floats, old: Floats) -> Floats:
    return np.maximum(new, np.minimum(old, 0.0))
