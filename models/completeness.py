"""How much of a day's final cost is known so many days later, learned from what was said of earlier days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Days whose end is known that it takes to say something of an age.
MINIMUM_DAYS = 5
#: A day of which less is known than this is no base to scale up from.
MINIMUM_SHARE = 0.5


def known_shares(stated: Floats, final: Floats) -> Floats:
    """By age the share of a day's final cost that was known at that age, (K,); nan where too few days tell.

    `stated` (D, K) is what was said of each of D days at each of K ages, nan where nobody looked then; `final` (D,) is
    what they came to in the end, nan where that is not known yet. It is the median over days of stated / final, as one
    late bill among many on time must not scale up every day. Days whose final cost is not positive tell nothing.
    """
    if not stated.size:
        return np.full(stated.shape[1], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where((final > 0)[:, None], stated / final[:, None], np.nan)
    told = np.isfinite(ratios).sum(axis=0) >= MINIMUM_DAYS
    found = np.full(stated.shape[1], np.nan)
    if told.any():
        found[told] = np.nanmedian(ratios[:, told], axis=0)
    return found


def suspicious(cost: Floats, before: Floats) -> NDArray[np.bool_]:
    """Whether each of `cost` (n,) is below half of the least of the same weekday's four values `before` (n, 4).

    For young days of which no completeness is known: a bill that is late looks like that, and so does next to nothing
    that happens in a running company. Unknown values of `before` are passed over; a row of none is not suspicious.
    """
    least: Floats = np.min(np.where(np.isnan(before), np.inf, before), axis=1)
    found: NDArray[np.bool_] = np.isfinite(least) & (cost < 0.5 * least)
    return found
