"""How far gross margin may move: from the part of cost that is not sure, and from month to month."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pricing import level

#: Both sides of an interval together leave out one month in ten.
_NORMAL_95 = 1.6448536269514722


@dataclass(frozen=True)
class Spread:
    """`factor`: by how much what is not billed yet may be off, at least 1; then 90 % of next month's margin share."""

    factor: float
    low: float
    high: float
    months: int


def spread(cost_shares: Sequence[float]) -> Spread | None:
    """From each whole month's cost of sales by its revenue, in order; None where fewer than three can tell.

    The level is `models.pricing.level.fit`: a line through the logarithms, Student's t around it, months known to 5 %
    at best. A part of cost that is not sure may be off as much as one month is from the line: by exp(t s). The next
    month's margin is one less its cost share, predicted.
    """
    if len(cost_shares) < level.LEAST_MONTHS or min(cost_shares) <= 0:
        return None
    found = level.fit(np.array(cost_shares), 1)
    student = student_95(found.freedom)
    centre, reach = float(found.centre[0]), student * float(found.scale[0])
    return Spread(
        math.exp(student * found.residual),
        1 - math.exp(centre + reach),
        1 - math.exp(centre - reach),
        len(cost_shares),
    )


def student_95(freedom: float) -> float:
    """The 95 % quantile of Student's t, for two degrees of freedom and more, to 0.4 %.

    Cornish and Fisher's expansion, Abramowitz & Stegun 26.7.5.
    """
    z, n = _NORMAL_95, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )
