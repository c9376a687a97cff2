"""Where GPUs come from: offers with capacity, date and price meet a need that changes; what stays unmet is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from models.whatif.card import Card, Figure, Row, spread, used
from models.whatif.inputs import Amount, Draws, Floats, Input, Lever, Part, Positive

SUPPLY = (
    "in each stretch of days the cheapest offers that have begun are filled first, up to their capacity; what is left"
    " is unmet"
)
_HOURS_A_DAY = 24


class Offer(Part):
    """So many units from one provider, from a day on, at a price per unit and hour."""

    provider: str
    capacity: float = Field(gt=0)
    unit_hour: Positive
    from_: date = Field(alias="from")
    until: date | None = None  # first day on which it is there no more


class Need(Part):
    """How many units are needed from a day on, until the next need begins."""

    from_: date = Field(alias="from")
    units: Amount


class Supply(Lever):
    """Offers and needs of one kind of unit: GPUs, servers or racks."""

    kind: Literal["supply"]
    unit: str = "GPUs"
    until: date
    needs: tuple[Need, ...] = Field(min_length=1)
    offers: tuple[Offer, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Supply:
        starts = [need.from_ for need in self.needs]
        if starts != sorted(set(starts)):
            raise ValueError("needs follow each other, each from a later day")
        if self.until <= starts[-1]:
            raise ValueError("until is after the last need begins")
        return self

    def inputs(self) -> dict[str, Input]:
        """Needs and prices, each by its own name."""
        needs = {f"units from {need.from_}": need.units for need in self.needs}
        prices = {
            f"unit_hour {number} {offer.provider}": offer.unit_hour for number, offer in enumerate(self.offers, 1)
        }
        return needs | prices


@dataclass(frozen=True)
class Stretch:
    """Days between which nothing changes: need, what each offer gives, and what is unmet; by draw (and offer)."""

    first: date
    until: date
    needed: Floats
    filled: Floats
    unmet: Floats
    cost: Floats


def fill(lever: Supply, draws: Draws) -> list[Stretch]:
    """Go through the days; in each draw the cheapest offer of that draw comes first."""
    prices = np.array(
        [draws.of(lever, f"unit_hour {number} {one.provider}") for number, one in enumerate(lever.offers, 1)]
    ).reshape(len(lever.offers), draws.count)
    first = lever.needs[0].from_
    changes = {need.from_ for need in lever.needs} | {offer.from_ for offer in lever.offers}
    changes |= {offer.until for offer in lever.offers if offer.until is not None}
    days = [*sorted({first} | {day for day in changes if first <= day < lever.until}), lever.until]
    return [_stretch(lever, begin, end, prices, draws) for begin, end in pairwise(days)]


def _stretch(lever: Supply, begin: date, end: date, prices: Floats, draws: Draws) -> Stretch:
    need = [one for one in lever.needs if one.from_ <= begin][-1]
    needed = draws.of(lever, f"units from {need.from_}")
    there = np.array(
        [
            offer.capacity if offer.from_ <= begin and (offer.until is None or begin < offer.until) else 0.0
            for offer in lever.offers
        ]
    )
    filled = np.zeros(prices.shape)
    left = needed.copy()
    order = np.argsort(prices, axis=0, kind="stable")
    every = np.arange(draws.count)
    for place in range(len(lever.offers)):
        offer = order[place]
        taken = np.minimum(left, there[offer])
        filled[offer, every] = taken
        left = left - taken
    hours = (end - begin).days * _HOURS_A_DAY
    return Stretch(begin, end, needed, filled, left, (filled * prices).sum(axis=0) * hours)


def card(lever: Supply, draws: Draws) -> Card:
    """The plan: a row for each stretch and provider, and what it costs until the end."""
    stretches = fill(lever, draws)
    total = sum((stretch.cost for stretch in stretches), np.zeros(draws.count))
    unmet = np.max([stretch.unmet for stretch in stretches], axis=0)
    days = np.array([(one.until - one.first).days for one in stretches])
    short = np.array([stretch.unmet > 1e-9 for stretch in stretches])
    figures = {
        "cost": Figure(total, "money", f"of all that is filled until {lever.until}"),
        "most_unmet": Figure(unmet, lever.unit, "that no offer has, on the worst day"),
        "days_unmet": Figure(np.asarray(days @ short, dtype=np.float64), "days", "on which something is unmet"),
    }
    remarks = ["a plan and no saving: it is in no sum"]
    return Card(
        lever.name, lever.kind, SUPPLY, None, 0.0, used(lever, draws), figures, remarks, _rows(lever, stretches)
    )


def _rows(lever: Supply, stretches: Sequence[Stretch]) -> list[Row]:
    rows = []
    for stretch in stretches:
        common = {"from": stretch.first, "until": stretch.until, "unit": lever.unit}
        parts = [(offer.provider, stretch.filled[number]) for number, offer in enumerate(lever.offers)]
        for provider, values in [("needed", stretch.needed), *parts, ("unmet", stretch.unmet)]:
            found = spread(values)
            rows.append(Row({**common, "what": provider, "q05": found.q05, "q50": found.q50, "q95": found.q95}))
    return rows
