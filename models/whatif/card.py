"""A card: what one lever would save in the month, what that stands on, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.whatif.inputs import Draws, Floats, Input, Lever

LATENCY = "latency is not modelled: headroom is all that is said of it"


@dataclass(frozen=True)
class Spread:
    """The 5th, 50th and 95th of a hundred draws."""

    q05: float
    q50: float
    q95: float


def spread(values: Floats | float) -> Spread:
    """Of draws, or of a number that is known; each is one of the draws, which may be infinite."""
    found = np.quantile(np.atleast_1d(values), (0.05, 0.5, 0.95), method="inverted_cdf")
    q05, q50, q95 = (float(one) for one in found)
    return Spread(q05, q50, q95)


@dataclass(frozen=True)
class Figure:
    """A number beside the saving: one, or one by draw."""

    values: Floats | float
    unit: str
    meaning: str


@dataclass(frozen=True)
class Used:
    """An input as the card used it; `read` from the month's own facts, or else given or preset."""

    given: Input
    values: Floats
    read: bool = False


@dataclass(frozen=True)
class Row:
    """A line of a table that a card has of its own."""

    values: Mapping[str, object]


@dataclass(frozen=True)
class Card:
    """One lever. `saving` is by draw, per month, in the scenario's currency; None: it cannot be told, see `remarks`.

    `baseline` is what the matched requests or machines cost in the month; `rows` is a table of the card's own.
    """

    name: str
    kind: str
    formula: str
    saving: Floats | None
    baseline: float
    inputs: Mapping[str, Used]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    rows: Sequence[Row] = ()


def used(lever: Lever, draws: Draws) -> dict[str, Used]:
    """All inputs of a lever as they were drawn."""
    return {name: Used(given, draws.of(lever, name)) for name, given in lever.inputs().items()}


def measured(value: float, why: str) -> Used:
    """An input that was not given but read from the month's own facts."""
    return Used(Input(value=value, basis="measured", why=why), np.array([value]), read=True)
