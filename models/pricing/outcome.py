"""What an offer means for those in it: each tier, who moves where, loss-makers, unit costs, and how many may leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pricing import plans
from models.pricing.menus import Ground
from models.pricing.plans import Floats, Offer, Plan

#: Changes of unit cost that every offer is shown under.
SENSITIVITY = (0.5, 0.7, 1.3)


@dataclass(frozen=True)
class Tier:
    """One tier in the mean of the fitted months; amounts are of one month, `loss_making` and `capped` are users."""

    plan: Plan
    users: float
    revenue: float
    cost: float
    spent: float  # cost, payment and support
    overage: float
    loss_making: float  # their bill does not pay for them
    capped: float
    break_even: float | None  # cost of use, see `plans.break_even`
    from_groups: Floats  # (groups,) users by their group of today

    @property
    def margin(self) -> float | None:
        """Gross margin; None without revenue."""
        return 1 - self.spent / self.revenue if self.revenue > 0 else None


@dataclass(frozen=True)
class Churn:
    """What is left when users whose bill rises leave, for a stated elasticity; `stay` is the share of users left."""

    elasticity: float
    margin: float | None
    profit: float
    stay: float


@dataclass(frozen=True)
class Outcome:
    """All tiers of one offer, in the mean of the fitted months.

    `churn_break_even` is the share of hit users whose leaving uses up the gain over today: at most 1, None where all
    of them may leave (or none is hit), 0 where there is no gain.
    """

    tiers: Sequence[Tier]
    profit: float
    profit_now: float
    loss_making: float  # share of users
    loss_making_cost: float  # share of the cost that is theirs
    margins: Sequence[float | None]  # at each of SENSITIVITY
    churn: Sequence[Churn]
    churn_break_even: float | None


def outcome(offer: Offer, at: Ground, elasticities: Sequence[float]) -> Outcome:
    """What an offer means, worked out on bins.

    Unit costs change what is spent and leave bills as they are: an allowance is sold in units, not in money.
    """
    weights = at.weights.mean(axis=0)
    tiers = [_tier(number, offer, weights, at) for number in range(len(offer.tiers))]
    revenue, spent = sum(tier.revenue for tier in tiers), sum(tier.spent for tier in tiers)
    served = sum(tier.cost for tier in tiers)
    lost_cost, hit_profit = 0.0, 0.0
    for numbers, groups in offer.classes:
        taken = at.take([offer.tiers[tier] for tier in numbers])
        contribution = taken.bill - taken.spent(at.terms)
        lost_cost += float(weights[list(groups)].sum(axis=0) @ (taken.served * (contribution < 0)))
        hits = plans.hit(at.old[list(groups)], taken.bill, at.terms.bill_rise)
        hit_profit += float((weights[list(groups)] * hits * contribution).sum())
    profit_now = float((weights * (at.old - at.spent_now)).sum())
    gain = revenue - spent - profit_now
    return Outcome(
        tiers,
        revenue - spent,
        profit_now,
        sum(tier.loss_making for tier in tiers) / float(weights.sum()),
        lost_cost / served if served > 0 else 0.0,
        [1 - (spent + (factor - 1) * served) / revenue if revenue > 0 else None for factor in SENSITIVITY],
        [_churn(value, offer, weights, at) for value in elasticities],
        0.0 if gain <= 0 else gain / hit_profit if hit_profit > gain else None,
    )


def _tier(number: int, offer: Offer, weights: Floats, at: Ground) -> Tier:
    from_groups, sums = np.zeros(len(weights)), np.zeros(6)
    for numbers, groups in offer.classes:
        if number not in numbers:
            continue
        taken = at.take([offer.tiers[tier] for tier in numbers])
        there = taken.tier == numbers.index(number)
        spent = taken.spent(at.terms)
        from_groups[list(groups)] = weights[list(groups)] @ there
        columns = [taken.bill, taken.served, spent, taken.overage, spent > taken.bill, taken.capped]
        sums += np.array(columns, dtype=np.float64) @ (weights[list(groups)].sum(axis=0) * there)
    plan = offer.tiers[number]
    users = float(from_groups.sum())
    revenue, cost, out, overage, losing, capped = (float(value) for value in sums)
    even = plans.break_even(plan, at.terms)
    return Tier(plan, users, revenue, cost, out, overage, losing, capped, even, from_groups)


def _churn(elasticity: float, offer: Offer, weights: Floats, at: Ground) -> Churn:
    """Of users whose bill rises, (old / new) ^ elasticity stay: the owner's assumption."""
    revenue, spent, stay = 0.0, 0.0, 0.0
    for numbers, groups in offer.classes:
        taken = at.take([offer.tiers[tier] for tier in numbers])
        out = taken.spent(at.terms)
        for group in groups:
            part, rises = np.ones_like(out), taken.bill > at.old[group]
            if elasticity > 0:
                part[rises] = (at.old[group][rises] / taken.bill[rises]) ** elasticity
            staying = weights[group] * part
            revenue, spent = revenue + float(staying @ taken.bill), spent + float(staying @ out)
            stay += float(staying.sum())
    margin = 1 - spent / revenue if revenue > 0 else None
    return Churn(elasticity, margin, revenue - spent, stay / float(weights.sum()))
