"""The prefill law: how long a prompt of n uncached tokens keeps a replica busy, learned from a day's request log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
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

    Of its prefill a prompt holds up the requests that decode beside it for stall0_us + stall1_ns * tokens / 1000; what
    is left is time in which they went on. None: not learned, all of it counts. `fit_error` is the median over the bins
    of |quantile - line| / quantile.
    """

    p0_us: int
    p1_ns: int
    decode_us: int
    requests: int
    fit_error: float
    stall0_us: int | None = None
    stall1_ns: int | None = None


@dataclass(frozen=True)
class Delays:
    """Sums for least squares over decode phases: `delayed` of `decodes` had a prompt beside them.

    Regressors, in thousandths: steps, steps by mean requests in the batch, prompts processed meanwhile, their tokens;
    `products` is the 4 x 4 matrix of their products, `targets` their products with the decode microseconds.
    """

    decodes: int
    delayed: int
    products: Sequence[Sequence[int]]
    targets: Sequence[int]


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


def with_stall(law: PrefillLaw, delays: Delays, *, typical_tokens: float, minimum_delayed: int = 100) -> PrefillLaw:
    """`law` with the stall that `delays` show; unchanged when they are too few or contradict it.

    An engine that processes a prompt alone holds all others up for the whole prefill; one that mixes prompts in chunks
    with decode steps only for the part by which the step grew. The log tells: ordinary least squares (solved exactly,
    in rationals) of decode time on steps, shared steps, prompts and prompt tokens. A stall that grows by less than 0.3
    of the law's slope, or is more than 1.2 of the prefill at `typical_tokens`, is noise and is not used.
    """
    solution = _solve(delays.products, delays.targets) if delays.delayed >= minimum_delayed else None
    if solution is None:
        return law
    stall0_us, stall1_us = float(solution[2]) * 1000, float(solution[3]) * 1000
    stall = stall0_us + stall1_us * typical_tokens
    prefill = law.p0_us + law.p1_ns * typical_tokens / 1000
    if stall1_us * 1000 < max(0.3 * law.p1_ns, 1) or not 0 < stall <= 1.2 * prefill:
        return law
    return replace(law, stall0_us=round(stall0_us), stall1_ns=round(stall1_us * 1000))


def _solve(matrix: Sequence[Sequence[int]], target: Sequence[int]) -> list[Fraction] | None:
    """The x with matrix x = target, by Gaussian elimination in rationals; None when there is no single one."""
    rows = [[Fraction(int(value)) for value in (*row, goal)] for row, goal in zip(matrix, target, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = next((row for row in range(column, size) if rows[row][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        lead = rows[column][column]
        rows[column] = [value / lead for value in rows[column]]
        for other in range(size):
            if other != column and rows[other][column]:
                factor = rows[other][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[column], strict=True)]
    return [row[-1] for row in rows]


def _weighted_median(weighted: Sequence[tuple[float, float]]) -> float:
    ordered = sorted(weighted)
    half = sum(weight for _, weight in ordered) / 2
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= half:
            return value
    return ordered[-1][0]
