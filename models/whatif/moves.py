"""The same work elsewhere: another cloud, a rack of one's own, own GPUs for an API's model, an API for one's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from models.whatif.card import LATENCY, Card, Figure, Used, measured, used
from models.whatif.fleet import (
    Fleet,
    FleetLever,
    Terms,
    cost_of,
    facts,
    headroom_of,
    headrooms,
    release,
    remarks_of,
)
from models.whatif.inputs import NOTHING, Amount, Draws, Floats, Lever, Positive, Share, assumed
from models.whatif.joint import Sold
from models.whatif.log import Log, Which, quote
from models.whatif.routing import Target

CLOUD = (
    "movable GPU-hours x rate - nodes x GPUs of a node x gpu_hour, nodes = ceil(GPUs / speed / GPUs of a node) each"
    " hour; payback = one_off / saving"
)
BARE_METAL = (
    "movable GPU-hours x rate - servers x (price / life_months + kw x load x pue x hours x kwh_price +"
    " monthly_per_server) - monthly; servers = ceil(most GPUs at once / speed / gpus_per_server)"
)
TO_OWN_GPUS = (
    "API cost of the requests - nodes x GPUs of a node x gpu_hour x hours - monthly; nodes = ceil(requests a day / day"
    " capacity of a node); day capacity = 24 x GPUs x requests_per_gpu_hour x (1 - headroom) / peak; break-even: the"
    " fewest requests a day whose API cost pays for the nodes that they need"
)
TO_API = (
    "nodes released when the requests are gone x GPUs of a node x rate - sum over r of price(r) at the API; break-even:"
    " requests a day whose API price pays for one node"
)


class Cloud(FleetLever):
    """The pool's flexible hours are bought elsewhere: at a price that you give, or a dated one of the price table."""

    kind: Literal["cloud"]
    provider: str
    gpu_hour: Positive | None = None  # by default the price table's, on demand, of the month's last day
    region: str | None = None
    to_gpu_model: str | None = None  # by default the same model
    speed: Positive = assumed("not given: the same speed", 1)
    one_off: Amount = NOTHING


class BareMetal(FleetLever):
    """The pool's flexible hours run on servers of your own, for the whole month."""

    kind: Literal["bare_metal"]
    gpus_per_server: int = Field(ge=1)
    price: Positive  # of a server
    life_months: Positive
    kw: Positive  # of a server, at full load
    load: Share  # mean draw of power by that
    pue: Positive
    kwh_price: Positive
    monthly_per_server: Amount = NOTHING  # space, network, spare parts
    monthly: Amount = NOTHING  # people
    speed: Positive = assumed("not given: the same speed", 1)
    one_off: Amount = NOTHING

    @model_validator(mode="after")
    def _pue_above_one(self) -> BareMetal:
        if self.pue.bounds[0] < 1:
            raise ValueError("pue: a data centre draws at least what its servers do: 1 or more")
        return self


class ToOwnGpus(Lever):
    """Requests to an API are served by own GPUs instead."""

    kind: Literal["to_own_gpus"]
    which: Which
    gpus_per_node: int = Field(ge=1)
    gpu_hour: Positive | None = None  # by default the rate of `pool`
    requests_per_gpu_hour: Positive | None = None  # by default those of `pool` by its busy time
    pool: str | None = None
    headroom: Share = assumed("preset: 30 % of the busiest hours is left free", 0.3)
    monthly: Amount = NOTHING  # people, network

    @model_validator(mode="after")
    def _a_pool_or_numbers(self) -> ToOwnGpus:
        if self.pool is None and (self.gpu_hour is None or self.requests_per_gpu_hour is None):
            raise ValueError("give gpu_hour and requests_per_gpu_hour, or a pool that they are measured on")
        return self


class ToApi(Lever):
    """Requests to a model on own GPUs go to an API."""

    kind: Literal["to_api"]
    which: Which
    pool: str
    to: Target


def month_hours(fleet: Fleet) -> int:
    """Hours of the month, also those without a GPU."""
    return len(fleet.billed)


def cloud(
    lever: Cloud,
    fleets: Sequence[Fleet],
    terms: Terms,
    listed: Used | None,
    draws: Draws,
    remains: Sequence[Floats] | None = None,
) -> Card:
    """The move by itself; `listed` is the price of the table, where the lever gives none.

    `remains` is the part of each fleet's hours, by draw, that other levers leave; by default all.
    """
    found = lever.among(fleets)
    price = draws.of(lever, "gpu_hour") if lever.gpu_hour is not None else listed.values if listed else None
    inputs = used(lever, draws) | facts(found)
    if price is None:
        where = f"'{lever.provider}'" + (f" in '{lever.region}'" if lever.region else "")
        said = f"the price table has no on-demand price of {where} for it: give gpu_hour"
        return Card(lever.name, lever.kind, CLOUD, None, cost_of(found), inputs, {}, [said])
    if listed is not None and lever.gpu_hour is None:
        inputs["gpu_hour"] = listed
    before, after = np.zeros(draws.count), np.zeros(draws.count)
    speed = draws.of(lever, "speed")[:, None]
    for fleet, part in zip(found, remains or [np.ones(draws.count)] * len(found), strict=True):
        movable = fleet.billed[None, :] * part[:, None] * fleet.movable(terms)
        nodes = np.ceil(movable / speed / fleet.gpus_per_node - 1e-9)
        before += movable.sum(axis=1) * fleet.price(terms)
        after += nodes.sum(axis=1) * fleet.gpus_per_node * price
    figures = _payback(before - after, draws.of(lever, "one_off"))
    figures["moved_cost"] = Figure(before, "money", "what the hours that move cost now")
    remarks = [*remarks_of(lever, found, terms), LATENCY]
    return Card(lever.name, lever.kind, CLOUD, before - after, cost_of(found), inputs, figures, remarks)


def bare_metal(
    lever: BareMetal, fleets: Sequence[Fleet], terms: Terms, draws: Draws, remains: Sequence[Floats] | None = None
) -> Card:
    """The move by itself, or of the part of each fleet's hours, by draw, that `remains`."""
    found = lever.among(fleets)
    of = {name: draws.of(lever, name) for name in lever.inputs()}
    before, servers, hours = np.zeros(draws.count), np.zeros(draws.count), 0
    for fleet, part in zip(found, remains or [np.ones(draws.count)] * len(found), strict=True):
        movable = fleet.billed[None, :] * part[:, None] * fleet.movable(terms)
        before += movable.sum(axis=1) * fleet.price(terms)
        servers += np.ceil(movable.max(axis=1) / of["speed"] / lever.gpus_per_server - 1e-9)
        hours = month_hours(fleet)
    power = of["kw"] * of["load"] * of["pue"] * hours
    each = of["price"] / of["life_months"] + power * of["kwh_price"] + of["monthly_per_server"]
    after = servers * each + of["monthly"]
    figures = _payback(before - after, of["one_off"]) | {
        "servers": Figure(servers, "servers", "enough for the most GPUs at once"),
        "power_kwh": Figure(servers * power, "kWh", "of all servers in the month, at the PUE"),
        "power_cost": Figure(servers * power * of["kwh_price"], "money", "of it, in the month"),
        "moved_cost": Figure(before, "money", "what the hours that move cost now"),
        "capital": Figure(servers * of["price"], "money", "to buy the servers"),
    }
    remarks = [*remarks_of(lever, found, terms), LATENCY]
    inputs = used(lever, draws) | facts(found)
    return Card(lever.name, lever.kind, BARE_METAL, before - after, cost_of(found), inputs, figures, remarks)


def _payback(saving: Floats, one_off: Floats) -> dict[str, Figure]:
    if not one_off.any():
        return {}
    months = payback_months(saving, one_off)
    return {
        "one_off": Figure(one_off, "money", "what it costs once"),
        "payback_months": Figure(months, "months", "until that is saved; infinite: it never is"),
    }


def payback_months(saving: Floats, one_off: Floats) -> Floats:
    """Months until `one_off` is saved, by draw; infinite where it never is."""
    months: Floats = np.divide(one_off, saving, out=np.full(len(saving), np.inf), where=saving > 0)
    return np.where(one_off > 0, months, 0.0)


@dataclass(frozen=True)
class BreakEven:
    """Requests a day: the fewest for which own nodes are no dearer, and from where on they never are again."""

    first: float
    always: float


def break_even(api: float, node_day: float, node_requests: float, fixed_day: float) -> BreakEven:
    """Solve n x api >= ceil(n / node_requests) x node_day + fixed_day for n > 0; infinite where it never holds.

    With m nodes it holds from (m x node_day + fixed_day) / api on. One more node must earn more than it costs.
    """
    gain = api * node_requests - node_day  # of a node that is full
    if gain <= 0:
        whole = api * node_requests == node_day and fixed_day == 0
        return BreakEven(node_requests if whole else math.inf, math.inf)
    first = max(1, math.ceil(fixed_day / gain - 1e-12))
    last = math.ceil((node_day + fixed_day) / gain - 1e-12)  # nodes from which a further one pays at once
    return BreakEven((first * node_day + fixed_day) / api, (last * node_day + fixed_day) / api)


def to_own_gpus(lever: ToOwnGpus, log: Log, fleets: Sequence[Fleet], days: int, draws: Draws) -> Card:
    """The move by itself, at the month's volume and its shape over the hours of the day."""
    matched = lever.which.of(log) & ~log.own
    here = np.flatnonzero(matched & ~np.isnan(log.cost))
    api_cost = float(log.cost[here].sum())
    pool = [fleet for fleet in fleets if fleet.pool == lever.pool]
    inputs: dict[str, Used] = dict(used(lever, draws))
    if lever.gpu_hour is None:
        rate = cost_of(pool) / max(float(sum(fleet.billed.sum() for fleet in pool)), 1e-9)
        inputs["gpu_hour"] = measured(rate, f"what a GPU-hour of {lever.pool} cost in the month")
    if lever.requests_per_gpu_hour is None:
        served = int((log.names["pool"].among([lever.pool or ""]) & log.own).sum())
        busy = float(sum(fleet.busy.sum() for fleet in pool))
        why = f"{served:,} requests by {busy:,.0f} busy GPU-hours of {lever.pool}: another model, another mix"
        inputs["requests_per_gpu_hour"] = measured(served / busy if busy else 0.0, why)
    unknown = not len(here) or not api_cost or float(inputs["requests_per_gpu_hour"].values.min()) <= 0
    if unknown or float(inputs["gpu_hour"].values.min()) <= 0:
        said = "no request to an API fits" if not len(here) else f"nothing is measured on pool '{lever.pool}'"
        return Card(lever.name, lever.kind, TO_OWN_GPUS, None, api_cost, inputs, {}, [said])
    hourly = np.bincount(log.hour[here], minlength=24 * days)
    peak = float(np.quantile(hourly, 0.99) / hourly.mean())
    inputs["peak"] = measured(peak, "requests in the p99 hour by those in the mean hour")
    of = {name: np.resize(one.values, draws.count) for name, one in inputs.items()}
    capacity = 24 * lever.gpus_per_node * of["requests_per_gpu_hour"] * (1 - of["headroom"]) / peak
    node_day, fixed_day = 24 * lever.gpus_per_node * of["gpu_hour"], of["monthly"] / days
    nodes = np.ceil(len(here) / days / np.maximum(capacity, 1e-9))
    saving = api_cost - nodes * node_day * days - of["monthly"]
    each = [
        break_even(api_cost / len(here), *values)
        for values in zip(node_day.tolist(), capacity.tolist(), fixed_day.tolist(), strict=True)
    ]
    figures = {
        "requests_per_day": Figure(len(here) / days, "requests", "as the log has them"),
        "break_even_per_day": Figure(np.array([one.first for one in each]), "requests", "own GPUs are no dearer"),
        "always_from_per_day": Figure(np.array([one.always for one in each]), "requests", "and from here on never"),
        "nodes": Figure(nodes, "nodes", "for the month's volume and its peaks"),
        "headroom_at_p99": Figure(
            1
            - (len(here) / days)
            * peak
            / np.maximum(24 * nodes * lever.gpus_per_node * of["requests_per_gpu_hour"], 1e-9),
            "share",
            "free part of the nodes in the p99 hour",
        ),
    }
    return Card(lever.name, lever.kind, TO_OWN_GPUS, saving, api_cost, inputs, figures, [LATENCY])


def to_api(lever: ToApi, log: Log, fleets: Sequence[Fleet], terms: Terms, sold: Sold, days: int, draws: Draws) -> Card:
    """The move by itself: what the API asks for the logged tokens, against the nodes that are given back."""
    found = [fleet for fleet in fleets if fleet.pool == lever.pool]
    here = np.flatnonzero(lever.which.of(log) & log.own & log.names["pool"].among([lever.pool]))
    priced = quote(sold.prices, log, here, log.tokens[here]).price(log.tokens[here]) * sold.bill_rate
    missing = int(np.isnan(priced).sum())
    inputs: dict[str, Used] = dict(facts(found))
    if not len(here) or missing == len(here):
        said = "no request of the pool fits" if not len(here) else f"'{lever.to.model}' has no price for these requests"
        return Card(lever.name, lever.kind, TO_API, None, cost_of(found), inputs, {}, [said])
    api = float(np.nansum(priced))
    hours = month_hours(found[0]) if found else 24 * days
    all_busy = np.bincount(log.hour[log.own], weights=np.nan_to_num(log.cost[log.own]), minlength=hours)
    gone = np.bincount(log.hour[here], weights=np.nan_to_num(log.cost[here]), minlength=hours)
    left = 1 - np.divide(gone, all_busy, out=np.zeros(hours), where=all_busy > 0)[None, :hours]
    headroom = headroom_of(terms, draws)
    parts = [release(fleet, terms, headroom, left, rightsized=True) for fleet in found]
    released = sum((part.money(fleet, terms) for part, fleet in zip(parts, found, strict=True)), np.zeros(draws.count))
    node_day = [24 * fleet.gpus_per_node * fleet.rate for fleet in found if fleet.demand.sum() > 0]
    figures = {
        "api_cost": Figure(api, "money", "the logged tokens at the API's price"),
        "released_cost": Figure(released, "money", "nodes that are given back, idle ones with them"),
        "requests_per_day": Figure(len(here) / days, "requests", "as the log has them"),
        "break_even_per_day": Figure(
            min(node_day, default=math.inf) / (api / (len(here) - missing)), "requests", "pay for one node at the API"
        ),
        **headrooms(found, parts),
    }
    remarks = [LATENCY]
    if missing:
        remarks.insert(0, f"{missing:,} requests have no price there and are not in it")
    held = [fleet for fleet in found if fleet.committed > 0 and terms.commitments == "kept"]
    remarks += [f"{fleet.committed:.0%} of the hours of {fleet.gpu_model} are committed, paid anyway" for fleet in held]
    return Card(lever.name, lever.kind, TO_API, released - api, cost_of(found), inputs, figures, remarks)
