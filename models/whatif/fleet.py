"""Levers on own GPUs: machines come in whole nodes, so that a gain is money only when a node is given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
from pydantic import Field

from models.whatif.card import LATENCY, Card, Figure, Used, measured, used
from models.whatif.inputs import Draws, Floats, Lever, Part, Positive, Share, assumed

RIGHTSIZING = (
    "sum over hours of (nodes - min(nodes, need)) x GPUs of a node x rate; need = ceil(busy GPU-hours / (GPUs of a node"
    " x (1 - headroom))), each hour (hourly) or of the p99 hour for the whole month (fixed)"
)
THROUGHPUT = (
    "sum over hours of (min(nodes, need(busy)) - min(nodes, need(busy x (1 - share + share / gain)))) x GPUs of a node"
    " x rate: only nodes that are released save"
)


class Terms(Part):
    """How the machines of a pool can be given back: each hour, or for the whole month; `headroom` is free at p99."""

    pool: str
    capacity: Literal["fixed", "hourly"] = "fixed"
    headroom: Share = assumed("preset: 30 % of the busiest hours is left free", 0.3)
    minimum_nodes: int = Field(default=1, ge=0)
    commitments: Literal["kept", "ended"] = "kept"  # kept: hours under a commitment are paid for, used or not


class FleetLever(Lever):
    """A lever on the GPUs of a pool, or of those of its models that `gpu_models` names."""

    pool: str
    gpu_models: tuple[str, ...] = ()

    def among(self, fleets: Sequence[Fleet]) -> list[Fleet]:
        """The fleets that it is about."""
        return [
            fleet
            for fleet in fleets
            if fleet.pool == self.pool
            and (not self.gpu_models or any(_fits(fleet.gpu_model, pattern) for pattern in self.gpu_models))
        ]


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


class Rightsizing(FleetLever):
    """As many nodes as the busy time needs, with the pool's headroom."""

    kind: Literal["rightsizing"]


class Quantisation(FleetLever):
    """Weights of fewer bits: the same GPU serves more."""

    kind: Literal["quantisation"]
    gain: Positive = assumed("preset: 2 to 4 times the throughput", 2, 4)
    share: Share = assumed("not given: all of the busy time", 1)


class Batching(FleetLever):
    """More requests in a batch: the same GPU serves more; by how much, a benchmark says."""

    kind: Literal["batching"]
    gain: Positive
    share: Share = assumed("not given: all of the busy time", 1)


@dataclass(frozen=True)
class Fleet:
    """The GPUs of one model in a pool, by the hours of the month.

    `billed`, `busy` and `covered` are GPU-hours, `cost` is money. `committed` and `spot` are the parts of the billed
    hours that a commitment covers, or that are spot already; `on_demand` is the price of a GPU-hour of the rest.
    """

    pool: str
    gpu_model: str
    billed: Floats
    busy: Floats
    covered: Floats
    cost: Floats
    gpus_per_node: int
    committed: float
    spot: float
    on_demand: float | None

    @property
    def rate(self) -> float:
        """What a GPU-hour cost in the month."""
        return float(self.cost.sum() / self.billed.sum()) if self.billed.sum() else 0.0

    @property
    def demand(self) -> Floats:
        """GPU-hours that were needed: hours without telemetry count as busy as those seen; unseen ones as all busy."""
        share = np.divide(self.busy, self.covered, out=np.ones(len(self.busy)), where=self.covered > 0)
        needed: Floats = self.billed * np.minimum(share, 1.0)
        return needed

    @property
    def unseen(self) -> float:
        """The part of the billed hours that no telemetry watched."""
        return 1 - min(1.0, float(self.covered.sum() / self.billed.sum())) if self.billed.sum() else 0.0

    def price(self, terms: Terms) -> float:
        """What a GPU-hour costs whose payment can end: while commitments are kept, one on demand."""
        is_kept = terms.commitments == "kept" and self.committed > 0
        return self.on_demand if is_kept and self.on_demand is not None else self.rate

    def movable(self, terms: Terms) -> float:
        """The part of the hours whose payment can end: not those of a commitment that is kept."""
        return max(0.0, 1 - self.committed) if terms.commitments == "kept" else 1.0

    def flexible(self, terms: Terms) -> float:
        """The part of the hours that can be bought otherwise: what is spot already is not in it."""
        return max(0.0, self.movable(terms) - self.spot)


def nodes_needed(demand: Floats, fleet: Fleet, terms: Terms, headroom: Floats) -> Floats:
    """Whole nodes by draw and hour for `demand` (GPU-hours by draw and hour)."""
    usable = fleet.gpus_per_node * np.maximum(1 - headroom, 1e-9)[:, None]
    if terms.capacity == "fixed":
        demand = np.broadcast_to(np.quantile(demand, 0.99, axis=1)[:, None], demand.shape)
    least = terms.minimum_nodes if fleet.demand.any() else 0  # what did nothing all month serves nobody
    needed: Floats = np.maximum(np.ceil(demand / usable - 1e-9), least)
    return needed


@dataclass(frozen=True)
class Released:
    """GPU-hours by draw: those given back, and those of them that are money now, as no commitment covers them."""

    hours: Floats
    paid: Floats
    without_lever: Floats  # hours that could be given back with nothing changed; in `hours` only for rightsizing
    headroom_before: float
    headroom_after: Floats

    def money(self, fleet: Fleet, terms: Terms) -> Floats:
        """What is not paid any more."""
        return self.paid * fleet.price(terms)


def release(fleet: Fleet, terms: Terms, headroom: Floats, left: Floats, *, rightsized: bool) -> Released:
    """Give back what is not needed when only `left` (by draw and hour, or by draw and 1) of the demand remains.

    Unless `rightsized`, what nobody needs as it is counts as kept: a lever is not praised for what was idle before.
    """
    demand = fleet.demand[None, :]
    own = fleet.billed / fleet.gpus_per_node
    now = np.broadcast_to(demand, (len(headroom), len(own)))
    lean = np.minimum(own, nodes_needed(now, fleet, terms, headroom))
    after = np.minimum(own, nodes_needed(now * left, fleet, terms, headroom))
    slack = (own - lean).sum(axis=1) * fleet.gpus_per_node
    hours = (lean - after).sum(axis=1) * fleet.gpus_per_node + (slack if rightsized else 0.0)
    free = float(fleet.billed.sum()) * fleet.movable(terms)
    kept = np.maximum(after if rightsized else own - (lean - after), 1e-9) * fleet.gpus_per_node
    peak = np.quantile(now * left / kept, 0.99, axis=1)
    before = np.quantile(np.divide(fleet.demand, fleet.billed, out=np.zeros(len(own)), where=fleet.billed > 0), 0.99)
    return Released(hours, np.minimum(hours, free), slack, 1 - float(before), 1 - peak)


def left_by(lever: FleetLever, draws: Draws) -> Floats:
    """What part of the demand a throughput lever leaves, by draw and 1."""
    if not isinstance(lever, Quantisation | Batching):
        return np.ones((draws.count, 1))
    share, gain = draws.of(lever, "share"), draws.of(lever, "gain")
    left: Floats = (1 - share + share / gain)[:, None]
    return left


def headroom_of(terms: Terms, draws: Draws) -> Floats:
    """The headroom of a pool, by draw: the same for every lever on it."""
    return terms.headroom.draw(draws.count, draws.seed, f"{terms.pool}.headroom")


def card(lever: Rightsizing | Quantisation | Batching, fleets: Sequence[Fleet], terms: Terms, draws: Draws) -> Card:
    """The lever by itself on the pool as it is."""
    found = lever.among(fleets)
    headroom = headroom_of(terms, draws)
    rightsized = isinstance(lever, Rightsizing)
    parts = [release(fleet, terms, headroom, left_by(lever, draws), rightsized=rightsized) for fleet in found]
    saving = sum((part.money(fleet, terms) for part, fleet in zip(parts, found, strict=True)), np.zeros(draws.count))
    once = sum((part.hours * fleet.rate for part, fleet in zip(parts, found, strict=True)), np.zeros(draws.count))
    figures = {
        "released_gpu_hours": Figure(sum_of(part.hours for part in parts), "GPU-hours", "nodes given back, as hours"),
        "saving_without_commitments": Figure(once, "money", "the same when no hour is committed any more"),
    }
    if not rightsized:
        slack = sum((part.without_lever * fleet.rate for part, fleet in zip(parts, found, strict=True)), np.zeros(1))
        figures["rightsizing"] = Figure(slack, "money", "what giving back idle nodes saves without this; not in saving")
    figures |= headrooms(found, parts)
    inputs = used(lever, draws) | {"headroom": Used(terms.headroom, headroom)} | facts(found)
    remarks = [*remarks_of(lever, found, terms), LATENCY]
    formula = RIGHTSIZING if rightsized else THROUGHPUT
    return Card(lever.name, lever.kind, formula, saving, cost_of(found), inputs, figures, remarks)


def sum_of(parts: Iterable[Floats]) -> Floats:
    """Draws, added one by one; zero without any."""
    return np.asarray(sum(parts, np.zeros(1)))


def headrooms(fleets: Sequence[Fleet], parts: Sequence[Released]) -> dict[str, Figure]:
    """The free part of the GPUs in the p99 hour, before and after, by GPU model."""
    found = {}
    for fleet, part in zip(fleets, parts, strict=True):
        said = f"free part of {fleet.gpu_model} in the p99 hour"
        found[f"headroom_before {fleet.gpu_model}"] = Figure(part.headroom_before, "share", f"{said}, as it was")
        found[f"headroom_after {fleet.gpu_model}"] = Figure(part.headroom_after, "share", f"{said}, after the lever")
    return found


def cost_of(fleets: Sequence[Fleet]) -> float:
    """What the machines cost in the month."""
    return float(sum(fleet.cost.sum() for fleet in fleets))


def facts(fleets: Sequence[Fleet]) -> dict[str, Used]:
    """What was read from the month, as inputs."""
    found = {}
    for fleet in fleets:
        name = fleet.gpu_model
        found[f"busy GPU-hours {name}"] = measured(float(fleet.demand.sum()), "telemetry, hour by hour")
        found[f"billed GPU-hours {name}"] = measured(float(fleet.billed.sum()), "bill, hour by hour")
        found[f"rate {name}"] = measured(fleet.rate, "cost of the pool by billed GPU-hours")
        found[f"committed {name}"] = measured(fleet.committed, "part of the billed hours of this GPU model")
    return found


def remarks_of(lever: FleetLever, fleets: Sequence[Fleet], terms: Terms) -> list[str]:
    """What a reader must know of the facts."""
    if not fleets:
        return [f"the month has no GPU-hours in pool '{lever.pool}'{' of these models' if lever.gpu_models else ''}"]
    said = []
    for fleet in fleets:
        if terms.commitments == "kept" and fleet.committed > 0:
            said.append(f"{fleet.committed:.0%} of the hours of {fleet.gpu_model} are committed and paid for anyway")
        if fleet.unseen > 0.01:
            said.append(f"{fleet.unseen:.0%} of the hours of {fleet.gpu_model} were not watched: taken as busy as seen")
    return said
