"""Users, months and costs compressed once: what a menu brings is then worked out on bins instead of user by user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pricing.plans import Floats, Integers

BINS = 800
#: Users are drawn again in so many blocks, each with all of its months.
BLOCKS = 200
#: Costs below this part of the mean share a bin: beside any fee they are nothing.
_SMALL = 1e-5


@dataclass(frozen=True)
class Panel:
    """User-months as parallel arrays: number of the user, of the month, of the group (the plan now), and the cost.

    Users are numbered from 0 to `users` - 1 and months by time. A user without a row in a month is not billed for it.
    """

    user: Integers
    month: Integers
    group: Integers
    cost: Floats
    users: int
    months: int
    groups: int

    def until(self, months: int) -> Panel:
        """The first so many months."""
        if months == self.months:
            return self
        kept = self.month < months
        return Panel(
            self.user[kept], self.month[kept], self.group[kept], self.cost[kept], self.users, months, self.groups
        )


@dataclass(frozen=True)
class Bins:
    """How many user-months of each block, month and group lie in each bin, and the mean cost of a bin."""

    costs: Floats  # (bins,)
    counts: NDArray[np.int32]  # (blocks, months, groups, bins)

    @property
    def by_month(self) -> Floats:
        """User-months by month, group and bin."""
        summed: Floats = self.counts.sum(axis=0, dtype=np.float64)
        return summed

    @property
    def level(self) -> Floats:
        """Mean cost of a user, by month."""
        by_month = self.by_month.sum(axis=1)
        means: Floats = by_month @ self.costs / by_month.sum(axis=1)
        return means


def compress(panel: Panel, *, bins: int = BINS, blocks: int = BLOCKS) -> Bins:
    """Log-spaced bins of cost x month x group x block of users.

    A bin stands for the mean of what lies in it, so that totals over all months stay what they were. What is zero,
    negative or tiny lies in the first bin, with its mean too.

    Raises:
        ValueError: there is no cost above zero.
    """
    cost = panel.cost
    top, mean = float(cost.max(initial=0.0)), float(cost.mean()) if len(cost) else 0.0
    if top <= 0 or mean <= 0:
        raise ValueError("no user-month costs anything")
    low = max(float(cost[cost > 0].min()), mean * _SMALL)
    width = max(np.log(top / low) / bins, 1e-12)
    place = np.zeros(len(cost), dtype=np.int32)
    above = cost >= low
    place[above] = 1 + np.minimum((np.log(cost[above] / low) / width).astype(np.int32), bins - 1)
    sums = np.bincount(place, weights=cost, minlength=bins + 1)
    numbers = np.bincount(place, minlength=bins + 1)
    used = np.flatnonzero(numbers)
    new_place = np.zeros(bins + 1, dtype=np.int64)
    new_place[used] = np.arange(len(used))
    blocks = max(1, min(blocks, panel.users))
    shape = (blocks, panel.months, panel.groups, len(used))
    flat = ((panel.user % blocks * panel.months + panel.month) * panel.groups + panel.group) * len(used)
    flat += new_place[place]
    counts = np.bincount(flat, minlength=int(np.prod(shape))).astype(np.int32).reshape(shape)
    return Bins(sums[used] / numbers[used], counts)
