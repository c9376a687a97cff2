"""What moved a cost between two periods, factor by factor, with nothing left over and in no order: log-mean weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: What the quantity of `waterfall_of_groups` is split into.
VOLUME, MIX = "volume", "mix"


def waterfall(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """How much each factor moved the product of all factors; the effects add up to the difference of the products.

    LMDI-I (Ang & Liu 2001; Ang 2005): the effect of x is L(V1, V0) ln(x1 / x0), where V is the product and
    L(a, b) = (a - b) / ln(a / b), L(a, a) = a. No order of factors matters. A factor that was 0 takes its analytical
    limit (Ang & Liu 2007): the whole difference, shared equally where several were 0. The sum is that of the
    difference up to the rounding of floats (about 1e-15 of the larger product).

    Raises:
        ValueError: the two periods have different factors, or one is negative or not finite.
    """
    if before.keys() != after.keys():
        unpaired = sorted(before.keys() ^ after.keys())
        raise ValueError(f"a factor must be known in both periods: {', '.join(unpaired)}")
    for name, value in (*before.items(), *after.items()):
        if not 0 <= value < math.inf:
            raise ValueError(f"a factor is neither negative nor infinite nor unknown: {name} = {value}")
    gone = [name for name, value in after.items() if not value]
    new = [name for name, value in before.items() if not value]
    product_before, product_after = math.prod(before.values()), math.prod(after.values())
    if gone or new:
        share = (product_after - product_before) / len(gone or new)
        return {name: share if name in (gone or new) else 0.0 for name in before}
    logs = {name: math.log(after[name]) - math.log(before[name]) for name in before}
    grown = abs(math.fsum(logs.values()))
    # The textbook quotient is noise over noise where factors cancel out; this form of it is not.
    mean = max(product_before, product_after) * (-math.expm1(-grown) / grown if grown else 1.0)
    return {name: mean * log for name, log in logs.items()}


def waterfall_of_groups(
    before: Mapping[str, Mapping[str, float]],
    after: Mapping[str, Mapping[str, float]],
    *,
    quantity: str,
    volume: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
) -> dict[str, dict[str, float]]:
    """By group, how much each factor moved a sum of products over groups (providers, models, teams).

    Each group is its factors, like `{"tokens": 9e6, "rate": 2e-6}`. `quantity` names the one that adds up over groups:
    it is split into `volume` (the total) and `mix` (the group's share of it); the mix of one group means little
    alone, that of all is the price of having moved between them. A group that is known in one period only had no
    share of the other one, and its other factors are taken as they are where it is known: all of it is mix. Where a
    period has no quantity at all, its shares are those of the other one: all of it is volume.

    `volume` splits the total further: the factors whose product it is, in each period (users x requests per user).

    Raises:
        ValueError: a group has different factors in the two periods, or one is negative or not finite.
    """
    first = {group: factors[quantity] for group, factors in before.items()}
    second = {group: factors[quantity] for group, factors in after.items()}
    totals = math.fsum(first.values()), math.fsum(second.values())
    wholes = volume or tuple({VOLUME: total} for total in totals)
    found = {}
    for group in [*before, *(name for name in after if name not in before)]:
        known = before.get(group) or after[group], after.get(group) or before[group]
        shares = [
            quantities.get(group, 0.0) / total if total else None
            for quantities, total in zip((first, second), totals, strict=True)
        ]
        sides = []
        for factors, total, share, other in zip(known, wholes, shares, reversed(shares), strict=True):
            rest = {name: value for name, value in factors.items() if name != quantity}
            kept = share if share is not None else other
            sides.append({**total, MIX: kept if kept is not None else 0.0, **rest})
        found[group] = waterfall(*sides)
    return found


def added(effects: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The effects of all groups of `waterfall_of_groups` together, by factor."""
    names = list(dict.fromkeys(name for group in effects.values() for name in group))
    return {name: math.fsum(group.get(name, 0.0) for group in effects.values()) for name in names}
