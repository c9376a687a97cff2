"""The root-cause contest: a jump is planted in a slice of a noisy cube of spend, and the slice is sought."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from models.anomaly import Change, find_causes

Values = NDArray[np.float64]

SIZES: Mapping[str, int] = {"team": 6, "model": 8, "region": 5, "instance": 4, "env": 3}
_LEAST_PART = 0.003


@dataclass(frozen=True)
class Contest:
    """Shares of the cubes in which the planted slice was named, and milliseconds a search."""

    noise: float
    order: int
    top_1: float
    top_3: float
    biggest_slice: float
    milliseconds: float


def cube(random: np.random.Generator, order: int, noise: float) -> tuple[Change, dict[str, str]]:
    """2,880 lines before and after, and the slice of `order` dimensions by which the total grew 6 to 30 %."""
    names = list(SIZES)
    places = np.array(list(product(*(range(SIZES[name]) for name in names))))
    amounts = random.lognormal(0, 1.2, len(places))
    for column, name in enumerate(names):
        amounts *= random.dirichlet(np.full(SIZES[name], 2.0))[places[:, column]]
    while True:
        dimensions = sorted(random.choice(len(names), order, replace=False).tolist())
        values = [int(random.integers(SIZES[names[dimension]])) for dimension in dimensions]
        lines = (places[:, dimensions] == values).all(axis=1)
        if amounts[lines].sum() > _LEAST_PART * amounts.sum():
            break
    grown = amounts.copy()
    grown[lines] *= 1 + random.uniform(0.06, 0.3) * amounts.sum() / amounts[lines].sum()
    before, after = (one * np.exp(noise * random.normal(size=len(one)) - noise**2 / 2) for one in (amounts, grown))
    keys = {name: [str(value) for value in places[:, column]] for column, name in enumerate(names)}
    return Change(keys, before, after), {names[d]: str(v) for d, v in zip(dimensions, values, strict=True)}


def biggest_slice(change: Change) -> dict[str, str]:
    """What is usually looked at: the value of one dimension whose amount changed most."""
    best, largest = dict[str, str](), -np.inf
    for name, values in change.keys.items():
        codes, lines = np.unique(np.asarray(values), return_inverse=True)
        changes = np.bincount(lines, change.after - change.before)
        if changes.max() > largest:
            best, largest = {name: str(codes[changes.argmax()])}, float(changes.max())
    return best


def contest(*, cubes: int) -> list[Contest]:
    """Each noise of lines and order of the cause on so many cubes."""
    found = []
    for noise, order in product((0.1, 0.3, 0.6), (1, 2, 3)):
        random = np.random.default_rng([round(10 * noise), order])
        first, third, biggest, seconds = 0, 0, 0, 0.0
        for _ in range(cubes):
            change, planted = cube(random, order, noise)
            begun = time.perf_counter()
            slices = [cause.slice for cause in find_causes(change)]
            seconds += time.perf_counter() - begun
            first, third = first + (slices[:1] == [planted]), third + (planted in slices)
            biggest += biggest_slice(change) == planted
        shares = (first / cubes, third / cubes, biggest / cubes)
        found.append(Contest(noise, order, *shares, milliseconds=1000 * seconds / cubes))
    return found
