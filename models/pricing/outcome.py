"""What a menu means for those in it: each tier, who moves where, loss-makers, unit costs, and how many may leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pricing import plans
from models.pricing.menus import Ground
from models.pricing.plans import Floats, Integers, Plan, Taken, Terms

#: Changes of unit cost that every menu is shown under.
SENSITIVITY = (0.5, 0.7, 1.3)


@dataclass(frozen=True)
class Tier:
    """One tier in the mean of the fitted months; amounts are of one month, shares of its users or its revenue."""

    plan: Plan
    users: float
    revenue: float
    cost: float
    spent: float  # cost, payment and support
    overage: float
    loss_making: float  # users whose bill does not pay for them
    capped: float
    break_even: float | None  # cost of use, see `plans.break_even`
    from_groups: Floats  # (groups,) users by their plan of today

    @property
    def margin(self) -> float | None:
        """Gross margin; None without revenue."""
        return 1 - self.spent / self.revenue if self.revenue > 0 else None


@dataclass(frozen=True)
class Churn:
    """What happens when users whose bill rises leave: for a stated elasticity, and how many may before it costs.

    `break_even` is the share of hit users whose leaving uses up the gain over today; inf: they may all leave; 0: there
    is no gain. `kept` is the share of all users that stays.
    """

    elasticity: float
    margin: float | None
    profit: float
    kept: float


@dataclass(frozen=True)
class Outcome:
    """All tiers of one menu, in the mean of the fitted months."""

    tiers: Sequence[Tier]
    profit: float
    profit_now: float
    loss_making: float  # share of users
    loss_making_cost: float  # share of cost that is theirs
    margins: Sequence[float | None]  # at each of SENSITIVITY
    churn: Sequence[Churn]
    churn_break_even: float


def outcome(tiers: Sequence[Plan], at: Ground, terms: Terms, elasticities: Sequence[float]) -> Outcome:
    """What a menu means, worked out on bins. Who is kept on the plan of today counts in the whole and in no tier.

    Unit costs change what is spent and leave bills as they are: an allowance is sold in units, not in money.
    """
    weights = at.weights.mean(axis=0)
    taken = plans.take(tiers, at.costs, terms)
    spent = taken.spent(terms)
    free = weights[at.choosing].sum(axis=0)
    kept = [(weights[group], at.old[group], at.spent_now[group]) for group in at.kept]
    losing = spent > taken.bill
    found = [_tier(number, plan, taken, spent, free, weights, at, terms) for number, plan in enumerate(tiers)]
    revenue = float(free @ taken.bill) + sum(float(w @ bill) for w, bill, _ in kept)
    out = float(free @ spent) + sum(float(w @ all_) for w, _, all_ in kept)
    served = float(free @ taken.served) + sum(float(w @ at.costs) for w, _, _ in kept)
    lost = float(free @ losing) + sum(float(w @ (all_ > bill)) for w, bill, all_ in kept)
    lost_cost = float(free @ (taken.served * losing)) + sum(
        float(w @ (at.costs * (all_ > bill))) for w, bill, all_ in kept
    )
    margins = [1 - (out + (factor - 1) * served) / revenue if revenue > 0 else None for factor in SENSITIVITY]
    profit_now = float(np.einsum("gb,gb->", weights, at.old - at.spent_now))
    contribution = taken.bill - spent
    hit_profit = sum(
        float(weights[group] @ (contribution * plans.hit(at.old[group], taken.bill, terms))) for group in at.choosing
    )
    gain = revenue - out - profit_now
    everybody = float(weights.sum())
    return Outcome(
        found,
        revenue - out,
        profit_now,
        lost / everybody,
        lost_cost / served if served > 0 else 0.0,
        margins,
        [_churn(value, taken.bill, spent, weights, at, kept) for value in elasticities],
        0.0 if gain <= 0 else gain / hit_profit if hit_profit > 0 else np.inf,
    )


def _tier(
    number: int, plan: Plan, taken: Taken, spent: Floats, free: Floats, weights: Floats, at: Ground, terms: Terms
) -> Tier:
    there = taken.tier == number
    own = free * there
    from_groups = np.zeros(len(weights))
    from_groups[at.choosing] = weights[at.choosing] @ there
    return Tier(
        plan,
        float(own.sum()),
        float(own @ taken.bill),
        float(own @ taken.served),
        float(own @ spent),
        float(own @ taken.overage),
        float(own @ (spent > taken.bill)),
        float(own @ taken.capped),
        plans.break_even(plan, terms),
        from_groups,
    )


def _churn(
    elasticity: float,
    bill: Floats,
    spent: Floats,
    weights: Floats,
    at: Ground,
    kept: Sequence[tuple[Floats, Floats, Floats]],
) -> Churn:
    """Of users whose bill rises (old / new) ^ elasticity stay, the owner's assumption."""
    revenue = sum(float(w @ old) for w, old, _ in kept)
    out = sum(float(w @ all_) for w, _, all_ in kept)
    stay = sum(float(w.sum()) for w, _, _ in kept)
    for group in at.choosing:
        old = at.old[group]
        part = np.ones_like(bill)
        if elasticity > 0:
            rises = bill > old
            part[rises] = (np.maximum(old[rises], 0.0) / bill[rises]) ** elasticity
        staying = weights[group] * part
        revenue, out, stay = revenue + float(staying @ bill), out + float(staying @ spent), stay + float(staying.sum())
    margin = 1 - out / revenue if revenue > 0 else None
    return Churn(elasticity, margin, revenue - out, stay / float(weights.sum()))


@dataclass(frozen=True)
class Accounts:
    """Each user in the mean of the months in which they are in the panel: bills, and the tier taken most often.

    A user who is kept on the plan of today has tier -1; of a user without a row all is missing (nan, and -1).
    """

    old: Floats  # (users,) mean bill of today
    new: Floats
    cost: Floats
    spent: Floats  # under the new menu
    tier: Integers
    group: Integers  # of the last month


def accounts(
    tiers: Sequence[Plan],
    now: Sequence[Plan],
    kept: Sequence[bool],
    panel: tuple[Integers, Integers, Integers, Floats],
    users: int,
    terms: Terms,
) -> Accounts:
    """Every user one by one, no bins: `panel` are user, month, group and cost of each user-month."""
    user, month, group, cost = panel
    sums = np.zeros((4, users))
    seen = np.zeros(users)
    last = np.full(users, -1, dtype=np.int64)
    often = np.zeros((len(tiers), users), dtype=np.int32)
    for number in np.unique(month):
        rows = month == number
        who, which, spent_on = user[rows], group[rows], cost[rows]
        old, new, out, tier = _month(tiers, now, kept, which, spent_on, terms)
        for place, values in enumerate((old, new, spent_on, out)):
            sums[place] += np.bincount(who, weights=values, minlength=users)
        seen += np.bincount(who, minlength=users)
        last[who] = which
        for place in range(len(tiers)):
            often[place] += np.bincount(who[tier == place], minlength=users).astype(np.int32)
    with np.errstate(invalid="ignore"):
        means = sums / np.where(seen > 0, seen, np.nan)
    tier = np.where(often.sum(axis=0) > 0, often.argmax(axis=0), -1)
    return Accounts(means[0], means[1], means[2], means[3], tier, last)


@dataclass(frozen=True)
class Month:
    """One month user by user: totals of the whole (the last place) and of each tier."""

    revenue: Floats  # (tiers + 1,)
    spent: Floats
    users: Floats

    def margin(self, place: int = -1) -> float | None:
        """Gross margin of a tier, or of the whole; None without revenue."""
        return 1 - float(self.spent[place] / self.revenue[place]) if self.revenue[place] > 0 else None


def exact(
    tiers: Sequence[Plan], now: Sequence[Plan], kept: Sequence[bool], group: Integers, cost: Floats, terms: Terms
) -> Month:
    """The user-months of one month, each rated on its own: what bins are held against, and what was realised."""
    _, new, out, tier = _month(tiers, now, kept, group, cost, terms)
    place = np.where(tier < 0, len(tiers), tier)
    found = [np.bincount(place, weights=values, minlength=len(tiers) + 1) for values in (new, out, np.ones(len(new)))]
    for values in found:
        values[-1] = values.sum()
    return Month(*found)


def _month(
    tiers: Sequence[Plan], now: Sequence[Plan], kept: Sequence[bool], group: Integers, cost: Floats, terms: Terms
) -> tuple[Floats, Floats, Floats, Integers]:
    """Old bill, new bill, spent and tier of each user-month."""
    taken = plans.take(tiers, cost, terms)
    new, out, tier = taken.bill.copy(), taken.spent(terms), taken.tier.copy()
    old = np.zeros_like(cost)
    for number, plan in enumerate(now):
        there = group == number
        if not there.any():
            continue
        today = plans.take([plan], cost[there], terms)
        old[there] = today.bill
        if kept[number]:
            new[there], out[there], tier[there] = today.bill, today.spent(terms), -1
    return old, new, out, tier
