"""An offer user by user, without bins: who is hit, what was realised in a month, and what bins are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pricing import plans
from models.pricing.menus import Measured
from models.pricing.panel import Panel
from models.pricing.plans import Floats, Integers, Offer, Plan, Terms


@dataclass(frozen=True)
class Accounts:
    """Each user in the mean of the months that the panel has of them (of no month: nan, and -1)."""

    old: Floats  # (users,) bill of today
    new: Floats
    cost: Floats
    spent: Floats  # under the offer
    tier: Integers  # taken most often; of two, the one named first
    group: Integers  # in the last month


@dataclass(frozen=True)
class Month:
    """Totals of one month by tier, each user-month rated on its own; `hit`, `steep` and `capped` are users."""

    revenue: Floats  # (tiers,)
    spent: Floats
    users: Floats
    overage: float
    hit: int
    steep: int
    capped: int
    profit_now: float

    def margin(self, tier: int | None = None) -> float | None:
        """Gross margin of a tier, or of the whole; None without revenue."""
        revenue = float(self.revenue.sum() if tier is None else self.revenue[tier])
        spent = float(self.spent.sum() if tier is None else self.spent[tier])
        return 1 - spent / revenue if revenue > 0 else None


def accounts(offer: Offer, now: Sequence[Plan], panel: Panel, terms: Terms) -> Accounts:
    """Every user of the panel one by one."""
    sums, seen = np.zeros((4, panel.users)), np.zeros(panel.users)
    last = np.full(panel.users, -1, dtype=np.int64)
    often = np.zeros((len(offer.tiers), panel.users), dtype=np.int32)
    for number in range(panel.months):
        rows = panel.month == number
        user, group = panel.user[rows], panel.group[rows]
        rated = _rate(offer, now, group, panel.cost[rows], terms)
        for place, values in enumerate((rated.old, rated.bill, panel.cost[rows], rated.spent)):
            sums[place] += np.bincount(user, weights=values, minlength=panel.users)
        seen += np.bincount(user, minlength=panel.users)
        last[user] = group
        for tier in range(len(offer.tiers)):
            often[tier] += np.bincount(user[rated.tier == tier], minlength=panel.users).astype(np.int32)
    means = sums / np.where(seen > 0, seen, np.nan)
    tier_of = np.where(seen > 0, often.argmax(axis=0), -1)
    return Accounts(means[0], means[1], means[2], means[3], tier_of, last)


def month(offer: Offer, now: Sequence[Plan], panel: Panel, number: int, terms: Terms) -> Month:
    """One month of the panel."""
    rows = panel.month == number
    rated = _rate(offer, now, panel.group[rows], panel.cost[rows], terms)
    revenue, spent, users = (
        np.bincount(rated.tier, weights=values, minlength=len(offer.tiers)).astype(np.float64)
        for values in (rated.bill, rated.spent, np.ones(len(rated.bill)))
    )
    hit, steep = (int(plans.hit(rated.old, rated.bill, rise).sum()) for rise in (terms.bill_rise, terms.steep_rise))
    profit_now = float(rated.old.sum() - rated.spent_now.sum())
    return Month(revenue, spent, users, float(rated.overage.sum()), hit, steep, int(rated.capped.sum()), profit_now)


def measure(offer: Offer, now: Sequence[Plan], panel: Panel, terms: Terms) -> Measured:
    """As `menus.measure`, but user by user: to the user where a limit is near."""
    months = [month(offer, now, panel, number, terms) for number in range(panel.months)]
    users = np.array([one.users for one in months])
    offered, everybody = users[:, : offer.menu], users.sum(axis=1)
    choosing = offered.sum(axis=1, keepdims=True)
    return Measured(
        np.array([one.revenue.sum() for one in months]),
        np.array([one.spent.sum() for one in months]),
        np.array([one.overage for one in months]),
        np.array([one.hit for one in months]) / everybody,
        np.array([one.steep for one in months]) / everybody,
        np.array([one.capped for one in months]) / everybody,
        np.divide(offered, choosing, out=np.ones_like(offered), where=choosing > 0),
        sum(one.profit_now for one in months),
    )


@dataclass(frozen=True)
class _Rated:
    old: Floats
    spent_now: Floats
    bill: Floats
    spent: Floats
    overage: Floats
    capped: Floats
    tier: Integers


def _rate(offer: Offer, now: Sequence[Plan], group: Integers, cost: Floats, terms: Terms) -> _Rated:
    """Each user-month on its own."""
    old, spent_now, bill, spent, overage, capped = (np.zeros_like(cost) for _ in range(6))
    tier = np.zeros(len(cost), dtype=np.int64)
    for number, plan in enumerate(now):
        there = group == number
        today = plans.rate(plan, cost[there])
        old[there], spent_now[there] = today.bill, today.spent(terms)
    for numbers, groups in offer.classes:
        there = np.isin(group, groups)
        taken = plans.take([offer.tiers[place] for place in numbers], cost[there], terms)
        bill[there], spent[there], overage[there] = taken.bill, taken.spent(terms), taken.overage
        capped[there], tier[there] = taken.capped, np.array(numbers)[taken.tier]
    return _Rated(old, spent_now, bill, spent, overage, capped, tier)
