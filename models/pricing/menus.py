"""Menus of tiers: which there are, what each brings in the fitted months, which keep the limits, and their frontier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from itertools import combinations, combinations_with_replacement
from math import comb

import numpy as np

from models.pricing import plans
from models.pricing.panel import Bins
from models.pricing.plans import Floats, Offer, Plan, Rated, Taken, Terms

#: What a limit may be passed by and still counts as kept: the float's doing.
_DUST = 1e-12
#: Rated plans that are remembered, some 25 KB each.
_MOST_RATED = 2_000


@dataclass(frozen=True)
class Limits:
    """What no menu may pass in any fitted month: shares of users or of revenue; see `Measured` for each."""

    users_hit: float = 1.0
    users_hit_steeply: float = 1.0
    users_capped: float = 1.0
    overage_share: float = 1.0
    tier_share: float = 0.0
    profit_fall: float = np.inf


@dataclass(frozen=True)
class Measured:
    """An offer in the fitted months, bills as they would have been; arrays by month, amounts of the whole company.

    `hit`, `steep` and `capped` are shares of all users, `tier_shares` (months, tiers) of those who choose;
    `profit_now` is the gross profit under the plans of today.
    """

    revenue: Floats
    spent: Floats
    overage: Floats
    hit: Floats
    steep: Floats
    capped: Floats
    tier_shares: Floats
    profit_now: float

    @property
    def margin(self) -> float | None:
        """Gross margin over all months; None without revenue."""
        revenue = float(self.revenue.sum())
        return 1 - float(self.spent.sum()) / revenue if revenue > 0 else None

    def against(self) -> Limits:
        """What each limit is held against: of its worst month, and of profit the fall over all months."""
        with np.errstate(invalid="ignore", divide="ignore"):
            overage = np.where(self.revenue > 0, self.overage / self.revenue, 0.0)
        profit = float(self.revenue.sum() - self.spent.sum())
        fall = (self.profit_now - profit) / abs(self.profit_now) if self.profit_now else float(-np.sign(profit))
        return Limits(
            float(self.hit.max()),
            float(self.steep.max()),
            float(self.capped.max()),
            float(overage.max()),
            float(self.tier_shares.min()) if self.tier_shares.size else 1.0,
            fall,
        )

    def passes(self, limits: Limits) -> list[str]:
        """The names of the limits that are not kept."""
        value = self.against()
        upper = ["users_hit", "users_hit_steeply", "users_capped", "overage_share", "profit_fall"]
        broken = [name for name in upper if getattr(value, name) > getattr(limits, name) + _DUST]
        return [*broken, *(["tier_share"] if value.tier_share < limits.tier_share - _DUST else [])]


@dataclass(frozen=True)
class Ground:
    """What measuring needs and no menu changes: user-months by bin, and the bills of today."""

    costs: Floats  # (bins,)
    weights: Floats  # (months, groups, bins) user-months
    users: Floats  # (months,)
    old: Floats  # (groups, bins) bills of today
    spent_now: Floats  # (groups, bins)
    profit_now: float  # of all months
    terms: Terms
    _parts: dict[tuple[int, ...], tuple[Floats, Floats]] = field(default_factory=dict)
    _rated: dict[Plan, Rated] = field(default_factory=dict)

    def part(self, groups: tuple[int, ...]) -> tuple[Floats, Floats]:
        """User-months of so many groups: by month, group and bin as one row a month, and by month and bin."""
        if groups not in self._parts:
            chosen = self.weights[:, list(groups)]
            self._parts[groups] = chosen.reshape(len(chosen), -1), chosen.sum(axis=1)
        return self._parts[groups]

    def take(self, tiers: Sequence[Plan]) -> Taken:
        """What users take, by bin; a plan that is in several menus is rated once."""
        if len(self._rated) > _MOST_RATED:
            self._rated.clear()
        for plan in tiers:
            if plan not in self._rated:
                self._rated[plan] = plans.rate(plan, self.costs)
        return plans.chosen([self._rated[plan] for plan in tiers], self.terms)


def ground(bins: Bins, now: Sequence[Plan], terms: Terms) -> Ground:
    """What every menu is measured against."""
    weights = bins.by_month
    taken = [plans.take([plan], bins.costs, terms) for plan in now]
    old, spent = np.array([one.bill for one in taken]), np.array([one.spent(terms) for one in taken])
    profit = float(np.einsum("mgb,gb->", weights, old - spent))
    return Ground(bins.costs, weights, weights.sum(axis=(1, 2)), old, spent, profit, terms)


def measure(offer: Offer, at: Ground) -> Measured:
    """What an offer brings in each fitted month, worked out on bins."""
    months = len(at.users)
    totals, hits = np.zeros((months, 4)), np.zeros((months, 2))
    there = np.zeros((months, len(offer.tiers)))
    rises = (at.terms.bill_rise, at.terms.steep_rise)
    for numbers, groups in offer.classes:
        by_group, users = at.part(groups)
        taken = at.take([offer.tiers[tier] for tier in numbers])
        columns = [taken.bill, taken.spent(at.terms), taken.overage, taken.capped]
        columns += [taken.tier == place for place in range(len(numbers))]
        found = users @ np.array(columns, dtype=np.float64).T
        totals += found[:, :4]
        there[:, list(numbers)] += found[:, 4:]
        old = at.old[list(groups)]
        risen = np.array([plans.hit(old, taken.bill, rise).ravel() for rise in rises], dtype=np.float64)
        hits += by_group @ risen.T
    revenue, spent, overage, capped = totals.T
    offered = there[:, : offer.menu]
    choosing = offered.sum(axis=1, keepdims=True)
    shares = np.divide(offered, choosing, out=np.ones_like(offered), where=choosing > 0)
    hit, steep = (hits / at.users[:, None]).T
    return Measured(revenue, spent, overage, hit, steep, capped / at.users, shares, at.profit_now)


def menus(
    price_points: Sequence[Decimal],
    allowance_shares: Sequence[Decimal],
    overages: Sequence[Decimal],
    caps: Sequence[Decimal],
    numbers: Sequence[int],
    unit: Decimal,
) -> Iterator[tuple[Plan, ...]]:
    """Every menu: rising fees, allowances that are a share of the fee which never falls, one overage price, one cap.

    Allowances and caps are whole multiples of `unit`, the cost of one metered unit. A cap is a multiple of the
    highest fee and holds for all tiers; 0 is none.
    """
    points = sorted(set(price_points))
    for number in numbers:
        for fees in combinations(points, number):
            for shares in combinations_with_replacement(sorted(set(allowance_shares)), number):
                for overage in overages:
                    for multiple in caps:
                        cap = _whole(multiple * fees[-1], unit) if multiple else np.inf
                        yield tuple(
                            Plan(f"tier-{place}", float(fee), min(_whole(share * fee, unit), cap), float(overage), cap)
                            for place, (fee, share) in enumerate(zip(fees, shares, strict=True), 1)
                        )


def count(points: int, shares: int, overages: int, caps: int, numbers: Sequence[int]) -> int:
    """How many menus `menus` makes of so many choices."""
    return sum(comb(points, number) * comb(shares + number - 1, number) * overages * caps for number in numbers)


def frontier(found: Sequence[tuple[float, float]], most: int) -> list[int]:
    """The numbers of those (users hit, margin) that no other beats in both, by users hit; at most so many, evenly."""
    order = sorted(range(len(found)), key=lambda number: (found[number][0], -found[number][1], number))
    kept: list[int] = []
    for number in order:
        if not kept or found[number][1] > found[kept[-1]][1] + _DUST:
            kept.append(number)
    if len(kept) <= most:
        return kept
    chosen = sorted({round(place) for place in np.linspace(0, len(kept) - 1, most)})
    return [kept[place] for place in chosen]


def _whole(amount: Decimal, unit: Decimal) -> float:
    return float((amount / unit).to_integral_value(rounding=ROUND_FLOOR) * unit)
