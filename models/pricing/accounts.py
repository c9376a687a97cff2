"""An offer user by user, without bins: who is hit, what was realised in a month, and what bins are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pricing import plans
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
    """Totals of one month by tier, each user-month rated on its own; `hit` and `capped` are users."""

    revenue: Floats  # (tiers,)
    spent: Floats
    users: Floats
    overage: float
    hit: int
    capped: int

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
    hit = plans.hit(rated.old, rated.bill, terms.bill_rise)
    return Month(revenue, spent, users, float(rated.overage.sum()), int(hit.sum()), int(rated.capped.sum()))


@dataclass(frozen=True)
class _Rated:
    old: Floats
    bill: Floats
    spent: Floats
    overage: Floats
    capped: Floats
    tier: Integers


def _rate(offer: Offer, now: Sequence[Plan], group: Integers, cost: Floats, terms: Terms) -> _Rated:
    """Each user-month on its own."""
    old, bill, spent, overage, capped = (np.zeros_like(cost) for _ in range(5))
    tier = np.zeros(len(cost), dtype=np.int64)
    for number, plan in enumerate(now):
        there = group == number
        old[there] = plans.take([plan], cost[there], terms).bill
    for numbers, groups in offer.classes:
        there = np.isin(group, groups)
        taken = plans.take([offer.tiers[place] for place in numbers], cost[there], terms)
        bill[there], spent[there], overage[there] = taken.bill, taken.spent(terms), taken.overage
        capped[there], tier[there] = taken.capped, np.array(numbers)[taken.tier]
    return _Rated(old, bill, spent, overage, capped, tier)
