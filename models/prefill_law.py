"""The prefill law: how long a prompt of n uncached tokens keeps a replica busy, learned from a day's request log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median


@dataclass(frozen=True)
class Bin:
    """Requests of about one size: how many, their median uncached tokens, the low quantile of time-to-first-token."""

    requests: int
    uncached_tokens: float
    first_token_us: float
    decode_us: float | None = None


@dataclass(frozen=True)
class PrefillLaw:
    """prefill microseconds = p0_us + p1_ns * uncached tokens / 1000; `decode_us` between output tokens.

    `fit_error` is the median over the bins of |quantile - line| / quantile.
    """

    p0_us: int
    p1_ns: int
    decode_us: int
    requests: int
    fit_error: float


def learn(bins: Sequence[Bin], *, minimum_requests: int, minimum_bin: int = 20) -> PrefillLaw | None:
    """A robust line through the low quantile of time-to-first-token by input size; None with too little to learn from.

    The slope is the weighted median of the slopes between all pairs of bins (Theil 1950, Sen 1968), each weighted by
    the distance of its bins in tokens, as far pairs tell a slope best; the offset is the median of what is left. Bins
    of fewer than `minimum_bin` requests are left out: their low quantile still has queueing in it. Neither is negative.
    """
    usable = [one for one in bins if one.requests >= minimum_bin]
    if len(usable) < 3 or sum(one.requests for one in bins) < minimum_requests:
        return None
    pairs = [
        (
            (b.first_token_us - a.first_token_us) / (b.uncached_tokens - a.uncached_tokens),
            abs(b.uncached_tokens - a.uncached_tokens),
        )
        for a, b in combinations(usable, 2)
        if a.uncached_tokens != b.uncached_tokens
    ]
    if not pairs:
        return None
    slope = max(_weighted_median(pairs), 0.0)
    offset = max(median(one.first_token_us - slope * one.uncached_tokens for one in usable), 0.0)
    paces = [(one.decode_us, float(one.requests)) for one in usable if one.decode_us is not None]
    return PrefillLaw(
        p0_us=round(offset),
        p1_ns=round(slope * 1000),
        decode_us=round(_weighted_median(paces)) if paces else 0,
        requests=sum(one.requests for one in bins),
        fit_error=median(
            abs(one.first_token_us - offset - slope * one.uncached_tokens) / one.first_token_us for one in usable
        ),
    )


def _weighted_median(weighted: Sequence[tuple[float, float]]) -> float:
    ordered = sorted(weighted)
    half = sum(weight for _, weight in ordered) / 2
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= half:
            return value
    return ordered[-1][0]
