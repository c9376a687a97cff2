"""The example scenario made to suit a month: its pools, models and features are some that the month has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from farthing.whatif.month import Month
from models.whatif.caching import RealisedCache
from models.whatif.fleet import FleetLever, Terms
from models.whatif.inputs import Lever
from models.whatif.log import Bools
from models.whatif.moves import ToApi, ToOwnGpus
from models.whatif.scenario import RequestLever, Scenario

NO_REQUESTS = "the month has no requests"
NO_GPUS = "the month has no GPUs"
NO_OWN_MODEL = "no request of the month was answered by own GPUs"
NO_API = "no request of the month was answered by a model API"


@dataclass(frozen=True)
class Suited:
    """Cards that a month can be asked for, how its pools can be given back, and which cards are left out, and why."""

    cards: Sequence[Lever]
    fleets: tuple[Terms, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def suited(scenario: Scenario, month: Month) -> Suited:
    """`scenario` with names of `month` in place of those that it does not have.

    A pool that has no GPUs becomes the one that cost most, models that no request has become the one that cost most on
    the same side (model APIs, or own GPUs), and features that no request has are not asked for.
    """
    cards, left_out = [], {}
    for card in scenario.cards:
        if why := _missing(card, month):
            left_out[card.name] = why
        else:
            cards.append(_fitted(card, month))
    known = {fleet.pool for fleet in month.fleets}
    terms = {_pool(one.pool, month): one for one in scenario.fleets} if known else {}
    return Suited(cards, tuple(one.model_copy(update={"pool": pool}) for pool, one in terms.items()), left_out)


def models_of(card: Lever, month: Month) -> list[str]:
    """The models that `card` may be about: of own GPUs where it takes requests from them, else of model APIs."""
    log = month.log
    side = log.own if isinstance(card, ToApi) else ~log.own
    names = log.names["model"]
    codes = names.codes[side & (names.codes >= 0)]
    return [names.names[code] for code in np.unique(codes)]


def _missing(card: Lever, month: Month) -> str | None:
    if isinstance(card, FleetLever | ToApi | ToOwnGpus) and not month.fleets:
        return NO_GPUS
    if isinstance(card, RequestLever | RealisedCache | ToApi | ToOwnGpus):
        if not len(month.log):
            return NO_REQUESTS
        if not isinstance(card, RealisedCache) and not models_of(card, month):
            return NO_OWN_MODEL if isinstance(card, ToApi) else NO_API
    return None


def _fitted(card: Lever, month: Month) -> Lever:
    changed: dict[str, Any] = {}
    pool = getattr(card, "pool", None)
    if pool is not None:
        changed["pool"] = _pool(pool, month)
    which = getattr(card, "which", None)
    if which is not None:
        log = month.log
        side = log.own if isinstance(card, ToApi) else ~log.own
        if which.features and not log.names["feature"].among(which.features).any():
            which = which.model_copy(update={"features": ()})
        if which.models and not (which.of(log) & side).any():
            which = which.model_copy(update={"models": (_dearest(month, side),)})
        changed["which"] = which
    return card.model_copy(update=changed)


def _pool(name: str, month: Month) -> str:
    """The pool itself where it has GPUs, else the one whose GPUs cost most."""
    costs: dict[str, float] = {}
    for fleet in month.fleets:
        costs[fleet.pool] = costs.get(fleet.pool, 0.0) + float(fleet.cost.sum())
    return name if name in costs else max(costs, key=lambda pool: costs[pool])


def _dearest(month: Month, side: Bools) -> str:
    names = month.log.names["model"]
    here = side & (names.codes >= 0)
    costs = np.bincount(names.codes[here], weights=np.nan_to_num(month.log.cost[here]), minlength=len(names.names))
    there = np.bincount(names.codes[here], minlength=len(names.names)) > 0
    return str(names.names[int(np.where(there, costs, -np.inf).argmax())])
