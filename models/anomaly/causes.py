"""Why an amount changed: the slice of up to three dimensions whose lines changed together, as price and as volume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

_MOST_DIMENSIONS = 3
#: What explains less than that of the change is no cause of it.
_LEAST_SHARE = 0.2
#: The standard deviation of a line grows like its amount to the power of 3/4: between a count's and a rate's.
_VARIANCE_POWER = 1.5
#: Lines below this part of the mean line are noise of the same size.
_DUST_PART = 1e-3
_SCALE_OF_MEDIAN = 1.4826  # from a median of absolute values to a standard deviation, for a normal distribution
#: Where most lines did not move at all, the largest movement is a hundred standard deviations.
_LEAST_NOISE = 1e-4
_BEST_OF_EACH = 4


@dataclass(frozen=True)
class Change:
    """Lines of one amount before and after, all arrays of length n in the same order and unit.

    `keys` has a value of each dimension for each line. Quantities are nan, or not there at all, where nobody counted.
    """

    keys: Mapping[str, Sequence[str]]
    before: Values
    after: Values
    quantity_before: Values | None = None
    quantity_after: Values | None = None


@dataclass(frozen=True)
class Cause:
    """A slice (dimension -> value) that explains `share` of the whole change.

    `change` = `price_effect` + `volume_effect` + what could not be split; both are None where no line has quantities.
    `fit` is the part of the squared, weighed change of the slice's lines that one common rate explains.
    """

    slice: dict[str, str]
    before: float
    after: float
    share: float
    fit: float
    price_effect: float | None
    volume_effect: float | None

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before


def find_causes(change: Change, *, most: int = 3) -> list[Cause]:
    """The `most` slices that explain the change best, the best one first.

    All slices of one, two and three dimensions are compared. The evidence for a slice is how much of the squared change
    of its lines, each by the noise of a line of its size, vanishes when they are all moved at one common rate; twice
    the logarithm of the number of slices of the same dimensions is taken off, because the best of many looks good by
    chance; and what explains only a part of the change counts only in that part. A slice that moved against the whole,
    or explains less than a fifth of it, is none; of slices with the same lines the one of fewest
    dimensions is named. Source of the idea: explained share less ripple error, as in Squeeze
    (Li et al., ISSRE 2019); the evidence is the likelihood ratio of a common rate.
    """
    moved = change.after - change.before
    size = (np.abs(change.after) + np.abs(change.before)) / 2
    total = float(moved.sum())
    if total == 0 or not len(moved):
        return []
    variance = (size + _DUST_PART * size.mean()) ** _VARIANCE_POWER
    squares = moved**2 / variance
    others = np.sort(squares)[:-1]  # of a few lines the one that moved most is no measure of noise
    noise = _SCALE_OF_MEDIAN**2 * float(np.median(others)) if len(others) else 0.0
    noise = max(noise, _LEAST_NOISE * float(squares.max()))
    names = sorted(change.keys)
    codes = {name: np.unique(np.asarray(change.keys[name], dtype=str), return_inverse=True) for name in names}
    found: list[tuple[float, float, dict[str, str], NDArray[np.bool_]]] = []
    for dimensions in _combinations(names):
        slices, line_slices = _slices([np.asarray(codes[name][1]) for name in dimensions])
        together = np.bincount(line_slices, size * moved / variance) ** 2
        weights = np.bincount(line_slices, size**2 / variance)
        gained = np.divide(together, weights, out=np.zeros_like(together), where=weights > 0)
        squared = np.bincount(line_slices, squares)
        shares = np.bincount(line_slices, moved) / total
        evidence = (gained / noise - 2 * np.log(len(gained))) * np.minimum(shares, 1.0)
        for number in np.argsort(-evidence)[:_BEST_OF_EACH]:
            if shares[number] >= _LEAST_SHARE and evidence[number] > 0:
                values = {
                    name: str(codes[name][0][code]) for name, code in zip(dimensions, slices[number], strict=True)
                }
                fit = float(gained[number] / squared[number])
                found.append((float(evidence[number]), fit, values, line_slices == number))
    found.sort(key=lambda one: (len(one[2]), -one[0]))
    distinct = {lines.tobytes(): (evidence, fit, values, lines) for evidence, fit, values, lines in reversed(found)}
    best = sorted(distinct.values(), key=lambda one: (-one[0], len(one[2]), str(one[2])))
    return [_cause(change, values, lines, total, fit) for _, fit, values, lines in best[:most]]


def _combinations(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for order in range(1, _MOST_DIMENSIONS + 1):
        yield from combinations(names, order)


def _slices(codes: Sequence[Codes]) -> tuple[Codes, Codes]:
    """The distinct combinations of `codes` (slices, dimensions), and that of each line (n)."""
    combined = codes[0]
    for code in codes[1:]:
        combined = combined * (int(code.max()) + 1) + code
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    return np.column_stack([code[first] for code in codes]), np.asarray(inverse)


def _cause(change: Change, values: dict[str, str], lines: NDArray[np.bool_], total: float, fit: float) -> Cause:
    before, after = float(change.before[lines].sum()), float(change.after[lines].sum())
    price, volume = _split(change, lines)
    return Cause(values, before, after, (after - before) / total, fit, price, volume)


def _split(change: Change, lines: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """Price and volume effect of `lines`, at the mean quantity and the mean price (Bennet): they add up to the change.

    What began or ended is volume.
    """
    if change.quantity_before is None or change.quantity_after is None:
        return None, None
    before, after = change.before[lines], change.after[lines]
    old, new = change.quantity_before[lines], change.quantity_after[lines]
    counted = np.isfinite(old) & np.isfinite(new) & ((old > 0) | (new > 0))
    if not counted.any():
        return None, None
    before, after, old, new = before[counted], after[counted], old[counted], new[counted]
    both = (old > 0) & (new > 0)
    old_price = np.divide(before, old, out=np.zeros_like(before), where=both)
    new_price = np.divide(after, new, out=np.zeros_like(after), where=both)
    price = np.where(both, (new_price - old_price) * (old + new) / 2, 0.0)
    volume = np.where(both, (new - old) * (old_price + new_price) / 2, after - before)
    return float(price.sum()), float(volume.sum())
