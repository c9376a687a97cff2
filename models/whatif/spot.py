"""Spot machines: cheaper, taken away now and then, with some on-demand hours to fall back on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from models.whatif.card import LATENCY, Card, Figure, used
from models.whatif.fleet import Fleet, FleetLever, Terms, cost_of, facts, remarks_of
from models.whatif.inputs import NOTHING, Amount, Draws, Floats, Share, assumed

SPOT = (
    "flexible GPU-hours x on-demand price x (1 - effective); effective = (1 - fallback) x (1 - discount) x (1 +"
    " interruptions_per_hour x (checkpoint_hours / 2 + restart_hours)) + fallback"
)


class Spot(FleetLever):
    """The hours of a pool that are neither committed nor spot become spot."""

    kind: Literal["spot"]
    discount: Share = assumed("preset: spot at half of the on-demand price", 0.5)
    interruptions_per_hour: Amount = assumed("preset: one in 20 to one in 7 hours", 0.05, 0.15)
    checkpoint_hours: Amount = NOTHING  # work lost at an interruption is half of it; of serving none
    restart_hours: Amount = assumed("preset: six minutes to start again", 0.1)
    fallback: Share = assumed("preset: a tenth of the hours is had on demand", 0.1)


def effective(lever: Spot, draws: Draws) -> Floats:
    """The price of an hour's work on spot, on-demand = 1, by draw."""
    lost = draws.of(lever, "checkpoint_hours") / 2 + draws.of(lever, "restart_hours")
    price = (1 - draws.of(lever, "discount")) * (1 + draws.of(lever, "interruptions_per_hour") * lost)
    fallback = draws.of(lever, "fallback")
    whole: Floats = (1 - fallback) * price + fallback
    return whole


def saving(lever: Spot, fleet: Fleet, hours: Floats | float, draws: Draws) -> Floats:
    """Of `hours` GPU-hours at the on-demand price."""
    price = fleet.on_demand if fleet.on_demand is not None else fleet.rate
    saved: Floats = np.asarray(hours * price * (1 - effective(lever, draws)))
    return saved


def card(lever: Spot, fleets: Sequence[Fleet], terms: Terms, draws: Draws) -> Card:
    """The lever by itself."""
    found = lever.among(fleets)
    flexible = [float(fleet.billed.sum()) * fleet.flexible(terms) for fleet in found]
    total = sum(
        (saving(lever, fleet, hours, draws) for fleet, hours in zip(found, flexible, strict=True)),
        np.zeros(draws.count),
    )
    all_hours = sum(
        (saving(lever, fleet, float(fleet.billed.sum()) * (1 - fleet.spot), draws) for fleet in found),
        np.zeros(draws.count),
    )
    figures = {
        "effective_price": Figure(effective(lever, draws), "share", "of the on-demand price, interruptions included"),
        "flexible_gpu_hours": Figure(float(sum(flexible)), "GPU-hours", "neither committed nor spot already"),
        "saving_without_commitments": Figure(all_hours, "money", "the same when no hour is committed any more"),
    }
    said = remarks_of(lever, found, terms)
    said += [
        f"no on-demand price of {fleet.gpu_model} is known: its own rate is taken"
        for fleet in found
        if fleet.on_demand is None
    ]
    inputs = used(lever, draws) | facts(found)
    return Card(lever.name, lever.kind, SPOT, total, cost_of(found), inputs, figures, [*said, LATENCY])
