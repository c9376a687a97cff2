"""After a month: what a lever did save, held against what its card claimed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.whatif.card import Spread
from models.whatif.inputs import Floats

_NINETY_PERCENT = 1.6448536269514722  # of a normal, between its 5th and 95th of a hundred


@dataclass(frozen=True)
class Daily:
    """Requests and what they cost, by day."""

    requests: Floats
    cost: Floats

    @property
    def each(self) -> float:
        """The cost of one request."""
        return float(self.cost.sum() / self.requests.sum())

    def variance(self) -> float:
        """Of `each`: the days are the sample (ratio estimator, Cochran 1977, section 6.4)."""
        days = self.requests > 0
        count = int(days.sum())
        if count < 2:
            return math.inf
        left = self.cost[days] - self.each * self.requests[days]
        return float(count / (count - 1) * (left**2).sum() / self.requests.sum() ** 2)


@dataclass(frozen=True)
class Check:
    """The claim at the volume that came, what was saved, and what that says."""

    claimed: Spread
    realised: Spread
    before_each: float
    after_each: float
    requests: float
    verdict: str


def before_after(claim: Spread, before: Daily, after: Daily) -> Check:
    """Compare two months of the same kind of request: (cost of one before - after) x requests after.

    The claim is scaled by the volume. What else changed between the months is in it: a holdout is the better proof.

    Raises:
        ValueError: one of the months has no request.
    """
    if not before.requests.sum() or not after.requests.sum():
        raise ValueError("there is no request in the month before or after")
    volume = float(after.requests.sum())
    saved = (before.each - after.each) * volume
    half = _NINETY_PERCENT * volume * math.sqrt(before.variance() + after.variance())
    scale = volume / float(before.requests.sum())
    claimed = Spread(claim.q05 * scale, claim.q50 * scale, claim.q95 * scale)
    return _judged(claimed, saved, half, before.each, after.each, volume)


def holdout(claim: Spread, claimed_on: float, kept: Sequence[float], changed: Sequence[float]) -> Check:
    """Compare requests of the same month: those that the change left alone, and those that it changed.

    `claimed_on` are the requests of the claim's month; `kept` and `changed` are what each request cost.

    Raises:
        ValueError: one of the two groups has fewer than two requests.
    """
    control, treated = np.asarray(kept, dtype=np.float64), np.asarray(changed, dtype=np.float64)
    if min(len(control), len(treated)) < 2:
        raise ValueError("a holdout needs requests in both groups")
    saved = (control.mean() - treated.mean()) * len(treated)
    error = math.sqrt(control.var(ddof=1) / len(control) + treated.var(ddof=1) / len(treated))
    scale = len(treated) / claimed_on
    claimed = Spread(claim.q05 * scale, claim.q50 * scale, claim.q95 * scale)
    half = _NINETY_PERCENT * len(treated) * error
    return _judged(claimed, float(saved), half, float(control.mean()), float(treated.mean()), float(len(treated)))


def _judged(claimed: Spread, saved: float, half: float, before: float, after: float, volume: float) -> Check:
    realised = Spread(saved - half, saved + 0.0, saved + half)
    if realised.q95 < claimed.q05:
        verdict = "less than claimed"
    elif realised.q05 > claimed.q95:
        verdict = "more than claimed"
    elif realised.q05 <= 0 < claimed.q05:
        verdict = "cannot be told"  # what was claimed would fit, and nothing at all as well
    else:
        verdict = "as claimed"
    return Check(claimed, realised, before, after, volume, verdict)
