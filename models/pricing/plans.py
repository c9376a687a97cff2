"""Three-part tariffs: what one user-month costs, is billed and is served under a plan, and which plan a user takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: A rise by less than this part of a bill is the float's doing.
_DUST = 1e-9


@dataclass(frozen=True)
class Plan:
    """A plan of one month; fee, allowance and cap are amounts, use is measured by what it costs.

    `overage` is the price of one unit of cost beyond the allowance. Beyond the fair-use cap nothing is served.
    """

    name: str
    fee: float
    allowance: float = np.inf
    overage: float = 0.0
    cap: float = np.inf


@dataclass(frozen=True)
class Terms:
    """What holds for all plans: what a bill costs to collect, a user to support, and how users feel about overage.

    A user takes the plan with the least bill + overage_dislike x overage; one whose bill rises by more than
    `bill_rise` of the old one is hit, by more than `steep_rise` steeply.
    """

    payment_share: float = 0.029
    payment_fixed: float = 0.30
    support: float = 0.0
    overage_dislike: float = 0.3
    bill_rise: float = 0.10
    steep_rise: float = 1.0


@dataclass(frozen=True)
class Offer:
    """Tiers, and who chooses from which: each class is the numbers of tiers and those of the groups of users.

    The first `menu` tiers are offered; the others are plans of today that somebody stays on.
    """

    tiers: tuple[Plan, ...]
    classes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    menu: int


@dataclass(frozen=True)
class Rated:
    """User-months under a plan: arrays of the shape of the costs."""

    bill: Floats
    overage: Floats
    served: Floats
    capped: NDArray[np.bool_]

    def spent(self, terms: Terms, cost_factor: float | Floats = 1.0) -> Floats:
        """Cost of serving, payment and support of each; `cost_factor` is a change of unit costs that bills ignore."""
        paying = terms.payment_share * self.bill + terms.payment_fixed * (self.bill > 0)
        spent: Floats = self.served * cost_factor + paying + terms.support
        return spent


@dataclass(frozen=True)
class Taken(Rated):
    """User-months under the plan that each took; `tier` is its number."""

    tier: Integers


def rate(plan: Plan, costs: Floats) -> Rated:
    """What user-months with `costs` (any shape) come to under a plan."""
    served = np.minimum(costs, plan.cap)
    if plan.overage and np.isfinite(plan.allowance):
        overage = plan.overage * np.maximum(served - plan.allowance, 0.0)
    else:
        overage = np.zeros_like(served)
    return Rated(plan.fee + overage, overage, served, costs > plan.cap)


def take(tiers: Sequence[Plan], costs: Floats, terms: Terms) -> Taken:
    """What users with `costs` (any shape) take of `tiers`; of two that feel alike, the one named first."""
    return chosen([rate(plan, costs) for plan in tiers], terms)


def chosen(rated: Sequence[Rated], terms: Terms) -> Taken:
    """What users take of plans under which they are rated; of two that feel alike, the first."""
    first = rated[0]
    if len(rated) == 1:
        return Taken(first.bill, first.overage, first.served, first.capped, np.zeros(first.bill.shape, np.int64))
    tier = np.argmin(np.array([one.bill + terms.overage_dislike * one.overage for one in rated]), axis=0)
    return Taken(
        np.choose(tier, [one.bill for one in rated]),
        np.choose(tier, [one.overage for one in rated]),
        np.choose(tier, [one.served for one in rated]),
        np.choose(tier, [one.capped for one in rated]),
        tier,
    )


def offer(menu: Sequence[Plan], now: Sequence[Plan], kept: Sequence[bool], *, downgrades: bool = True) -> Offer:
    """A menu for all groups but the `kept` ones, each of which stays on its plan of today, a further tier.

    Without `downgrades` nobody takes a tier with a lower fee than today's, but for the highest where all are lower.
    """
    staying = {plan: None for plan, stays in zip(now, kept, strict=True) if stays}
    tiers = (*menu, *staying)
    may: dict[tuple[int, ...], list[int]] = {}
    for group, (plan, stays) in enumerate(zip(now, kept, strict=True)):
        if stays:
            choice: tuple[int, ...] = (tiers.index(plan, len(menu)),)
        elif downgrades:
            choice = tuple(range(len(menu)))
        else:
            choice = tuple(tier for tier, new in enumerate(menu) if new.fee >= plan.fee) or (len(menu) - 1,)
        may.setdefault(choice, []).append(group)
    return Offer(tiers, tuple((choice, tuple(groups)) for choice, groups in may.items()), len(menu))


def standing(now: Sequence[Plan]) -> Offer:
    """Each group has its plan and no other."""
    tiers = tuple(dict.fromkeys(now))
    classes = [
        ((number,), tuple(group for group, own in enumerate(now) if own == plan)) for number, plan in enumerate(tiers)
    ]
    return Offer(tiers, tuple(classes), 0)


def hit(old: Floats, new: Floats, rise: float) -> NDArray[np.bool_]:
    """Whose bill rises by more than the share `rise` of the old one."""
    return new > old * (1 + rise) + _DUST * (1 + np.abs(new))


def break_even(plan: Plan, terms: Terms) -> float | None:
    """The cost of use beyond which a user on `plan` loses money; None: at no use, 0: at any.

    Contribution falls by one for each unit of cost, and regains overage x (1 - payment share) beyond the allowance.
    """
    kept = 1 - terms.payment_share
    left = plan.fee * kept - (terms.payment_fixed if plan.fee > 0 else 0) - terms.support
    if left < 0:
        return 0.0
    included = min(plan.allowance, plan.cap)
    if left < included:
        return left
    if np.isinf(included):
        return None
    left, slope = left - included, 1 - plan.overage * kept
    if slope <= 0:
        return None
    loss_at = included + left / slope
    return loss_at if loss_at < plan.cap else None
