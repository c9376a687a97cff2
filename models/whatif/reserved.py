"""How much to commit to: the quantile of demand that equals the discount, less what is planned already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from models.whatif.card import Card, Figure, Used, used
from models.whatif.fleet import Fleet, FleetLever, Terms, cost_of, facts, remarks_of
from models.whatif.inputs import Draws, Floats, Positive, Share, assumed

RESERVED = (
    "on-demand price x sum over hours of (min(demand, committed) - committed x (1 - discount)); committed = the"
    " quantile of demand at the level of the discount, in whole nodes: there one more is used just often enough to pay"
)


class Reserved(FleetLever):
    """Commit to a number of GPUs for a term; demand above it stays on demand."""

    kind: Literal["reserved"]
    discount: Share
    term_months: int = Field(ge=1)
    growth: Positive = assumed("not given: demand stays as it was", 1)  # mean demand of the term by that of the month
    paths: str | None = None  # a file with path, step and gpus; by default the hours of the month are one path


def best(demand: Floats, discount: float, step: int) -> int:
    """How many GPUs, in whole multiples of `step`, cost least over all paths and steps of `demand`.

    The newsvendor's quantile; its two neighbours in whole nodes are compared by what they cost.
    """
    level = float(np.quantile(demand, discount, method="inverted_cdf"))
    low = int(level // step) * step
    return min((low, low + step), key=lambda gpus: (cost(demand, gpus, discount), gpus))


def cost(demand: Floats, gpus: float, discount: float) -> float:
    """The mean cost of a step, in on-demand prices of one GPU."""
    return gpus * (1 - discount) + float(np.maximum(demand - gpus, 0).mean())


def saved(demand: Floats, gpus: int, discount: Floats | float) -> Floats:
    """By path (rows of `demand`): what the commitment saves in a mean step, in on-demand prices of one GPU."""
    less: Floats = np.minimum(demand, gpus).mean(axis=-1) - gpus * (1 - np.asarray(discount))
    return less


def demand_of(fleet: Fleet, terms: Terms, left: Floats, paths: Floats | None) -> Floats:
    """GPUs on demand by path and hour: the flexible part of the fleet, or given paths; `left` of it by draw remains."""
    flexible = fleet.billed[None, :] * fleet.flexible(terms)
    base = flexible if paths is None else paths[np.arange(len(left)) % len(paths)]
    remaining: Floats = base * left[:, None]
    return remaining


def card(
    lever: Reserved,
    fleets: Sequence[Fleet],
    terms: Terms,
    left: Sequence[Floats],
    paths: Floats | None,
    draws: Draws,
) -> Card:
    """The commitment on what remains after `left`, the part by draw of each fleet's flexible hours.

    Raises:
        ValueError: paths are given and the lever is about several GPU models.
    """
    found = lever.among(fleets)
    if paths is not None and len(found) != 1:
        raise ValueError(f"paths are of one GPU model; {len(found)} fit")
    discount = draws.of(lever, "discount")
    total, figures = np.zeros(draws.count), dict[str, Figure]()
    for fleet, remains in zip(found, left, strict=True):
        demand = demand_of(fleet, terms, remains * draws.of(lever, "growth"), paths)
        gpus = best(demand, float(np.median(discount)), fleet.gpus_per_node)
        price = fleet.on_demand if fleet.on_demand is not None else fleet.rate
        total = total + saved(demand, gpus, discount) * len(fleet.billed) * price
        used_part = np.minimum(demand, gpus).mean(axis=1) / gpus if gpus else np.ones(1)
        said = f"of {fleet.gpu_model}"
        figures[f"committed {fleet.gpu_model}"] = Figure(float(gpus), "GPUs", f"{said} to commit to")
        figures[f"used {fleet.gpu_model}"] = Figure(used_part, "share", f"{said}: part of the committed hours in use")
        figures[f"planned_less {fleet.gpu_model}"] = Figure(1 - remains, "share", "taken off for levers planned")
        bare = best(
            demand_of(fleet, terms, np.ones(draws.count), paths), float(np.median(discount)), fleet.gpus_per_node
        )
        figures[f"without_plans {fleet.gpu_model}"] = Figure(float(bare), "GPUs", "one would commit to without them")
    said_of = remarks_of(lever, found, terms)
    if paths is None:
        said_of.append("the hours of the month stand for the term: paths of a forecast say more")
    inputs: dict[str, Used] = used(lever, draws) | facts(found)
    return Card(lever.name, lever.kind, RESERVED, total, cost_of(found), inputs, figures, said_of)
