"""The margin that a menu promises for the months to come: users x months x the level of cost, drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pricing import plans
from models.pricing.level import Level
from models.pricing.panel import Bins
from models.pricing.plans import Floats, Integers, Offer, Terms

_CHUNK = 250


@dataclass(frozen=True)
class Draws:
    """Possible months to come: user-months by group and bin, and what their level does to every cost."""

    counts: NDArray[np.float32]  # (draws, groups, bins)
    factors: Floats  # (draws,)
    ahead: Integers  # (draws,) 0: the first month to come
    users: Floats  # (draws,) users of the last fitted month by those of the month drawn


@dataclass(frozen=True)
class Interval:
    """Quantiles of gross margin over the draws in which there is revenue; `cvar05` is the mean of the worst 5 %."""

    q05: float | None
    q10: float | None
    q50: float | None
    q95: float | None
    cvar05: float | None
    reaches: float | None  # share of draws at or above the target
    draws: int  # with revenue


@dataclass(frozen=True)
class Promise:
    """Gross margin of the whole and of each tier, and the money of one month: (draws,) arrays of revenue and spent."""

    whole: Interval
    tiers: Sequence[Interval]
    revenue: Floats
    spent: Floats


def draw(bins: Bins, level: Level, *, draws: int, seed: int, level_paths: Floats | None = None) -> Draws:
    """Months to come: blocks of users drawn again, the shape of one fitted month, the level of one month ahead.

    `level_paths`, (paths, horizon), are levels of cost per user relative to the last fitted month, as a forecast of
    spend has them: they take the place of the fitted line, and the month's own shock stays on top.
    """
    random = np.random.default_rng([seed, 1])
    blocks, months, groups, width = bins.counts.shape
    horizon = len(level.centre)
    month = random.integers(months, size=draws)
    ahead = random.integers(horizon, size=draws)
    shock = random.standard_t(level.freedom, size=draws)
    if level_paths is None:
        target = level.centre[ahead] + level.scale[ahead] * shock
    else:
        path = random.integers(len(level_paths), size=draws)
        target = level.fitted[-1] + np.log(level_paths[path, ahead]) + level.residual * shock
    weights = random.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(np.float32)
    counts = np.empty((draws, groups, width), dtype=np.float32)
    for number in range(months):
        chosen = month == number
        shape = bins.counts[:, number].reshape(blocks, -1).astype(np.float32)
        counts[chosen] = (weights[chosen] @ shape).reshape(-1, groups, width)
    there = bins.by_month.sum(axis=(1, 2))
    return Draws(counts, np.exp(target - level.fitted[month]), ahead, there[-1] / there[month])


def promise(
    offer: Offer, bins: Bins, draws: Draws, terms: Terms, *, target: float, unit_costs: Floats | None = None
) -> Promise:
    """What `offer` makes in each draw. `unit_costs`, (horizon,), are planned changes that bills do not follow."""
    number, count = len(draws.factors), len(offer.tiers)
    revenue, spent = np.zeros((number, count)), np.zeros((number, count))
    unit = np.ones(number) if unit_costs is None else unit_costs[draws.ahead]
    for first in range(0, number, _CHUNK):
        part = slice(first, first + _CHUNK)
        costs = bins.costs[None, :] * draws.factors[part, None]
        rated = [plans.rate(plan, costs) for plan in offer.tiers]
        out = [one.spent(terms, unit[part, None]) for one in rated]
        felt = [one.bill + terms.overage_dislike * one.overage for one in rated]
        for numbers, groups in offer.classes:
            users = draws.counts[part][:, list(groups)].sum(axis=1, dtype=np.float64)
            tier = np.argmin(np.array([felt[number] for number in numbers]), axis=0) if len(numbers) > 1 else None
            for place, number_of_tier in enumerate(numbers):
                there = users if tier is None else np.where(tier == place, users, 0.0)
                revenue[part, number_of_tier] += np.einsum("db,db->d", there, rated[number_of_tier].bill)
                spent[part, number_of_tier] += np.einsum("db,db->d", there, out[number_of_tier])
    whole = revenue.sum(axis=1), spent.sum(axis=1)
    tiers = [interval(revenue[:, tier], spent[:, tier], target) for tier in range(count)]
    return Promise(interval(*whole, target), tiers, *whole)


def interval(revenue: Floats, spent: Floats, target: float) -> Interval:
    """Quantiles of 1 - spent / revenue."""
    paid = revenue > 0
    if not paid.any():
        return Interval(None, None, None, None, None, None, 0)
    margins = 1 - spent[paid] / revenue[paid]
    q05, q10, q50, q95 = (float(value) for value in np.quantile(margins, [0.05, 0.10, 0.50, 0.95]))
    worst = np.sort(margins)[: max(1, int(np.ceil(0.05 * len(margins))))]
    return Interval(q05, q10, q50, q95, float(worst.mean()), float((margins >= target).mean()), len(margins))
