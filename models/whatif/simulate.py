"""A scenario on a month: each card by itself, and all together in the order in which they meet a request or an hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.whatif import fleet as fleets_module
from models.whatif import moves, reserved, spot, supply
from models.whatif.caching import ExactCache, RealisedCache, SemanticCache, replay, same_prompt
from models.whatif.card import Card, Used
from models.whatif.fleet import Batching, Fleet, FleetLever, Quantisation, Rightsizing, headroom_of, left_by, release
from models.whatif.inputs import Draws, Floats
from models.whatif.joint import Outcome, Plan, Sold
from models.whatif.joint import replay as replay_requests
from models.whatif.log import Ints, Log
from models.whatif.moves import BareMetal, Cloud, ToApi, ToOwnGpus
from models.whatif.prompts import Prompt
from models.whatif.request_cards import realised, request_card
from models.whatif.reserved import Reserved
from models.whatif.routing import Distillation, Router, Routing
from models.whatif.scenario import RequestLever, Scenario
from models.whatif.spot import Spot
from models.whatif.supply import Supply


@dataclass(frozen=True)
class Facts:
    """The month: its requests, its GPUs, and by the name of a card what that card needs besides.

    `sold` has the price table of each target, `classes` a code for each request of a semantic cache, `paths` demand in
    GPUs by path and step, `listed` the dated price of a cloud.
    """

    log: Log
    fleets: Sequence[Fleet]
    days: int
    sold: Mapping[str, Sold] = field(default_factory=dict)
    classes: Mapping[str, Ints] = field(default_factory=dict)
    paths: Mapping[str, Floats] = field(default_factory=dict)
    listed: Mapping[str, Used] = field(default_factory=dict)


@dataclass(frozen=True)
class Together:
    """All cards that can be together: the joint saving by draw, and what their savings would add up to."""

    names: Sequence[str]
    joint: Floats
    added: Floats
    baseline: float
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Result:
    """All cards in the order of the file."""

    cards: Sequence[Card]
    together: Together


def simulate(scenario: Scenario, facts: Facts, advance: Callable[[int], None] = lambda _done: None) -> Result:
    """Work out every card on the month's facts; the same scenario and facts give the same answer.

    `advance` hears of each card that is done.
    """
    return _Simulation(scenario, facts).run(advance)


class _Simulation:
    def __init__(self, scenario: Scenario, facts: Facts) -> None:
        self.scenario, self.facts = scenario, facts
        self.draws = Draws(scenario.draws, scenario.seed)
        self.levers = [card for card in scenario.cards if isinstance(card, RequestLever)]
        self.on_fleets = [card for card in scenario.cards if isinstance(card, FleetLever)]
        self.caches = {
            lever.name: replay(facts.log, lever, self._same(lever))
            for lever in self.levers
            if isinstance(lever, ExactCache | SemanticCache)
        }
        self.routers = {
            lever.name: Router(facts.log, lever, self.draws)
            for lever in self.levers
            if isinstance(lever, Routing | Distillation)
        }

    def run(self, advance: Callable[[int], None]) -> Result:
        cards = []
        for lever in self.scenario.cards:
            cards.append(self._card(lever))
            advance(1)
        return Result(cards, self._together(cards))

    def _same(self, lever: ExactCache | SemanticCache) -> Ints:
        return self.facts.classes[lever.name] if isinstance(lever, SemanticCache) else same_prompt(self.facts.log)

    def _plan(self, levers: Sequence[RequestLever]) -> Plan:
        return Plan(
            caches=[self.caches[lever.name] for lever in levers if lever.name in self.caches],
            routers=[self.routers[lever.name] for lever in levers if lever.name in self.routers],
            prompts=[lever for lever in levers if isinstance(lever, Prompt)],
        )

    def _outcome(self, levers: Sequence[RequestLever]) -> Outcome:
        return replay_requests(self.facts.log, self._plan(levers), self.facts.sold, self.draws)

    def _card(self, lever: object) -> Card:  # noqa: PLR0911  one line for each kind reads best
        draws, fleets = self.draws, self.facts.fleets
        if isinstance(lever, RequestLever):
            return self._request_cards[lever.name]
        if isinstance(lever, RealisedCache):
            return realised(lever, self.facts.log)
        if isinstance(lever, Rightsizing | Quantisation | Batching):
            return fleets_module.card(lever, fleets, self.scenario.terms(lever.pool), draws)
        if isinstance(lever, Spot):
            return spot.card(lever, fleets, self.scenario.terms(lever.pool), draws)
        if isinstance(lever, Cloud):
            listed = self.facts.listed.get(lever.name)
            return moves.cloud(lever, fleets, self.scenario.terms(lever.pool), listed, draws)
        if isinstance(lever, BareMetal):
            return moves.bare_metal(lever, fleets, self.scenario.terms(lever.pool), draws)
        if isinstance(lever, Reserved):
            left = [self._hours_left(fleet)[1] for fleet in lever.among(fleets)]
            terms, paths = self.scenario.terms(lever.pool), self.facts.paths.get(lever.name)
            return reserved.card(lever, fleets, terms, left, paths, draws)
        if isinstance(lever, ToOwnGpus):
            return moves.to_own_gpus(lever, self.facts.log, fleets, self.facts.days, draws)
        if isinstance(lever, ToApi):
            terms = self.scenario.terms(lever.pool)
            return moves.to_api(
                lever, self.facts.log, fleets, terms, self.facts.sold[lever.name], self.facts.days, draws
            )
        assert isinstance(lever, Supply)
        return supply.card(lever, draws)

    def _request_card(self, lever: RequestLever) -> Card:
        outcome = self._outcome([lever])
        released = sum(
            (
                self._released(fleet, outcome, ()).money(fleet, self.scenario.terms(fleet.pool))
                for fleet in self.facts.fleets
                if self._is_freed(fleet, outcome)
            ),
            np.zeros(self.draws.count),
        )
        return request_card(lever, self.facts.log, outcome, released, self.caches.get(lever.name), self.draws)

    @staticmethod
    def _is_freed(fleet: Fleet, outcome: Outcome) -> bool:
        return fleet.pool in outcome.freed and bool(outcome.freed[fleet.pool].any())

    def _left(self, fleet: Fleet, outcome: Outcome) -> Floats:
        """The part of a pool's demand, by draw and hour, that requests still make when `outcome` is there."""
        hours = len(fleet.billed)
        freed = outcome.freed.get(fleet.pool)
        if freed is None:
            return np.ones((self.draws.count, hours))
        log = self.facts.log
        here = log.own & log.names["pool"].among([fleet.pool])
        busy = np.bincount(log.hour[here], weights=np.nan_to_num(log.cost[here]), minlength=hours)[:hours]
        less = np.zeros((self.draws.count, hours))
        less[:, : freed.shape[1]] = freed[:, :hours]
        left: Floats = 1 - np.divide(less, busy[None, :], out=np.zeros_like(less), where=busy[None, :] > 0)
        return left

    def _released(self, fleet: Fleet, outcome: Outcome, levers: Sequence[FleetLever]) -> fleets_module.Released:
        left = self._left(fleet, outcome)
        for lever in levers:
            left = left * left_by(lever, self.draws)
        terms = self.scenario.terms(fleet.pool)
        rightsized = any(isinstance(lever, Rightsizing) for lever in levers)
        return release(fleet, terms, headroom_of(terms, self.draws), left, rightsized=rightsized)

    @cached_property
    def _request_cards(self) -> dict[str, Card]:
        return {lever.name: self._request_card(lever) for lever in self.levers}

    @cached_property
    def _all_requests(self) -> Outcome:
        """All levers on requests that can be worked out, in one pass."""
        return self._outcome([lever for lever in self.levers if self._request_cards[lever.name].saving is not None])

    def _hours_left(self, fleet: Fleet) -> tuple[fleets_module.Released, Floats]:
        """What the planned levers release of a fleet, and the part of its flexible hours that stays on demand."""
        mine = [lever for lever in self.on_fleets if lever.among([fleet])]
        released = self._released(fleet, self._all_requests, mine)
        flexible = float(fleet.billed.sum()) * fleet.flexible(self.scenario.terms(fleet.pool))
        left = 1 - released.paid / flexible if flexible else np.ones(self.draws.count)
        elsewhere = self._elsewhere(fleet)
        if isinstance(elsewhere, Spot):
            left = left * self.draws.of(elsewhere, "fallback")
        elif elsewhere is not None:
            left = left * 0
        return released, np.maximum(left, 0.0)

    def _elsewhere(self, fleet: Fleet) -> Spot | Cloud | BareMetal | None:
        """The first card that changes where the hours of a fleet are bought: they can be bought in one place only."""
        found = [lever for lever in self.on_fleets if isinstance(lever, Spot | Cloud | BareMetal)]
        return next((lever for lever in found if lever.among([fleet])), None)

    def _together(self, cards: Sequence[Card]) -> Together:
        joint = self._all_requests.saved.copy()
        remarks = []
        for fleet in self.facts.fleets:
            released, _ = self._hours_left(fleet)
            mine = [lever for lever in self.on_fleets if lever.among([fleet])]
            if mine or self._is_freed(fleet, self._all_requests):
                joint += released.money(fleet, self.scenario.terms(fleet.pool))
        bought = [lever for lever in self.on_fleets if isinstance(lever, Spot | Cloud | BareMetal)]
        for lever in bought:
            joint += self._bought(lever)
            remarks += [
                f"{lever.name}: the hours of {fleet.gpu_model} are bought as another card says first"
                for fleet in lever.among(self.facts.fleets)
                if self._elsewhere(fleet) is not lever
            ]
        for card in cards:
            if card.kind == "reserved" and card.saving is not None:
                joint += card.saving  # worked out on what the other cards leave
        meant = {lever.name for lever in (*self.levers, *self.on_fleets)}
        names = [card.name for card in cards if card.name in meant and card.saving is not None]
        savings = [card.saving for card in cards if card.name in names and card.saving is not None]
        added = sum(savings, np.zeros(self.draws.count))
        others = [card.name for card in cards if card.name not in meant]
        if others:
            remarks.append(f"read alone, in neither sum: {', '.join(others)}")
        return Together(names, joint, np.asarray(added), self._baseline(), remarks)

    def _bought(self, lever: Spot | Cloud | BareMetal) -> Floats:
        """What a card saves on the hours that are left of those fleets that it is the first to move."""
        fleets = [fleet for fleet in lever.among(self.facts.fleets) if self._elsewhere(fleet) is lever]
        total, terms = np.zeros(self.draws.count), self.scenario.terms(lever.pool)
        for fleet in fleets:
            released, _ = self._hours_left(fleet)
            if isinstance(lever, Spot):
                hours = np.maximum(float(fleet.billed.sum()) * fleet.flexible(terms) - released.paid, 0.0)
                total += spot.saving(lever, fleet, hours, self.draws)
                continue
            movable = float(fleet.billed.sum()) * fleet.movable(terms)
            remains = np.maximum(1 - released.paid / max(movable, 1e-9), 0.0)
            if isinstance(lever, Cloud):
                listed = self.facts.listed.get(lever.name)
                saving = moves.cloud(lever, [fleet], terms, listed, self.draws, [remains]).saving
            else:
                saving = moves.bare_metal(lever, [fleet], terms, self.draws, [remains]).saving
            total += 0.0 if saving is None else saving
        return total

    def _baseline(self) -> float:
        """What all model APIs and all GPUs of the month cost."""
        log = self.facts.log
        apis = float(np.nansum(log.cost[~log.own]))
        return apis + fleets_module.cost_of(self.facts.fleets)
