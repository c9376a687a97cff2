"""Levers on requests, alone and together: each request goes through cache, router and prompt, and then has a price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.whatif.caching import Replayed
from models.whatif.inputs import Draws, Floats
from models.whatif.log import Bools, Ints, Log, Price, Quote, own_quote, quote
from models.whatif.prompts import Prompt
from models.whatif.routing import Distillation, Routed, Router


@dataclass(frozen=True)
class Sold:
    """The table of a model that requests are sent to, and what the provider's bills are of its prices (1: equal)."""

    prices: Sequence[Price]
    bill_rate: float


@dataclass(frozen=True)
class Plan:
    """The levers of one world, in the order in which a request meets them; of two routers the first one takes it."""

    caches: Sequence[Replayed] = ()
    routers: Sequence[Router] = ()
    prompts: Sequence[Prompt] = ()


@dataclass(frozen=True)
class Outcome:
    """What a plan does to the month; every array is by draw.

    `saved` is money for model APIs in the month. `freed` is busy cost of own GPUs that falls away, by pool, draw and
    hour: no money by itself, as machines cost what they cost until one is given back.
    """

    saved: Floats
    baseline: float
    matched: int
    on_own_gpus: int
    without_cost: int
    hits: Floats
    hit_cost: Floats
    asked_again: Floats
    routed: Floats
    fell_back: Floats
    changed: Floats
    cannot: int
    freed: Mapping[str, Floats]


class _Small:
    """What the small model of a router takes for the requests that it looks at."""

    def __init__(self, log: Log, router: Router, sold: Sold | None) -> None:
        self._log, self._at, self._sold = log, router.at, sold
        self._quote: Quote | None = None
        self.can: Bools = np.ones(len(self._at), dtype=bool)
        if sold is not None:
            self._quote = quote(sold.prices, log, self._at, log.tokens[self._at])
            self.can = ~np.isnan(self._quote.request)
            self._usual = self._quote.price(log.tokens[self._at])

    def price(self, tokens: Ints | None) -> Floats | None:
        """Of each request, None where the lever says a part of the big one's; `tokens` are given when they changed."""
        if self._sold is None or self._quote is None:
            return None
        if tokens is None:
            return self._usual * self._sold.bill_rate
        return _requoted(self._quote, self._sold.prices, self._log, self._at, tokens) * self._sold.bill_rate


def _requoted(found: Quote, prices: Sequence[Price], log: Log, at: Ints, tokens: Ints) -> Floats:
    """The price with other tokens than those that `found` was looked up with."""
    result = found.price(tokens)
    other = np.flatnonzero((tokens[:, 0] <= found.over) | (tokens[:, 0] > found.upto))
    if len(other):
        result[other] = quote(prices, log, at[other], tokens[other]).price(tokens[other])
    return result


class _Big:
    """What the requests cost where they are, when their tokens change: in proportion to the price table."""

    def __init__(self, log: Log, at: Ints) -> None:
        self._log, self._at = log, at
        self._quote = own_quote(log, at, log.tokens[at])
        self._usual = self._quote.price(log.tokens[at])

    def ratio(self, tokens: Ints) -> Floats:
        """Price after by price before; 1 where there is none."""
        after = self._quote.price(tokens)
        other = np.flatnonzero((tokens[:, 0] <= self._quote.over) | (tokens[:, 0] > self._quote.upto))
        if len(other):
            after[other] = own_quote(self._log, self._at[other], tokens[other]).price(tokens[other])
        known = (self._usual > 0) & ~np.isnan(after)
        result: Floats = np.divide(after, self._usual, out=np.ones(len(after)), where=known)
        return result


def replay(log: Log, plan: Plan, sold: Mapping[str, Sold], draws: Draws) -> Outcome:
    """Put every request of `log` through `plan`, once for each draw.

    `sold` has the table of each router's target by the lever's name; a distilled model has none. A hit pays nothing; a
    fallback pays both models; a request whose cost is not known is in no sum.
    """
    looked_at = np.zeros(len(log), dtype=bool)
    for mask in (*(one.looked_up for one in plan.caches), *(one.eligible for one in plan.routers)):
        looked_at |= mask
    for prompt in plan.prompts:
        looked_at |= prompt.which.of(log)
    without_cost = int((looked_at & np.isnan(log.cost)).sum())
    at = np.flatnonzero(looked_at & ~np.isnan(log.cost))
    return _Replay(log, plan, sold, draws, at).run(int(looked_at.sum()), without_cost)


class _Replay:
    def __init__(self, log: Log, plan: Plan, sold: Mapping[str, Sold], draws: Draws, at: Ints) -> None:
        self.log, self.plan, self.draws, self.at = log, plan, draws, at
        self.place = np.full(len(log), -1)
        self.place[at] = np.arange(len(at))
        self.cost, self.own = log.cost[at], log.own[at]
        self.small = [_Small(log, router, sold.get(router.lever.name)) for router in plan.routers]
        self.big = _Big(log, at) if plan.prompts else None
        self.cuts = [(prompt, np.flatnonzero(prompt.which.of(log)[at])) for prompt in plan.prompts]
        self.pools = {
            code: (name, np.flatnonzero(self.own & (log.names["pool"].codes[at] == code)))
            for code, name in enumerate(log.names["pool"].names)
            if np.any(self.own & (log.names["pool"].codes[at] == code))
        }
        self.hours = int(log.hour.max(initial=-1)) + 1

    def run(self, matched: int, without_cost: int) -> Outcome:
        count = self.draws.count
        sums = {
            name: np.zeros(count)
            for name in ("saved", "hits", "hit_cost", "asked_again", "routed", "fell_back", "changed")
        }
        freed = {name: np.zeros((count, self.hours)) for name, _ in self.pools.values()}
        baseline = float(self.cost[~self.own].sum())
        for draw in range(count):
            paid, busy, fees = self._draw(draw, sums)
            sums["saved"][draw] = baseline - float(paid.sum()) - fees
            for name, here in self.pools.values():
                less = self.cost[here] - busy[here]
                freed[name][draw] = np.bincount(self.log.hour[self.at[here]], weights=less, minlength=self.hours)
        return Outcome(
            **sums,
            baseline=baseline,
            matched=matched,
            on_own_gpus=int(self.own.sum()),
            without_cost=without_cost,
            cannot=sum(int((~small.can).sum()) for small in self.small),
            freed=freed,
        )

    def _draw(self, draw: int, sums: Mapping[str, Floats]) -> tuple[Floats, Floats, float]:
        """What is paid for APIs and is busy on own GPUs for each request, and the fees of caches and routers."""
        asks = np.ones(len(self.at), dtype=bool)
        fees = 0.0
        for cache in self.plan.caches:
            fee = self.draws.of(cache.lever, "lookup_fee")[draw]
            fees += fee * int((cache.looked_up[self.at] & asks).sum())
            hits = cache.hits[self.at] & asks
            again = cache.asked_again(self.log, self.draws, draw)[self.at] & hits
            sums["hits"][draw] += hits.sum()
            sums["hit_cost"][draw] += self.cost[hits & ~again & ~self.own].sum()
            sums["asked_again"][draw] += again.sum()
            asks &= ~hits | again
        tokens = self._tokens(draw)
        ratio = np.ones(len(self.at)) if self.big is None or tokens is None else self.big.ratio(tokens)
        big = np.where(self.own, self.cost, self.cost * ratio)
        calls_big, small_paid, small_busy = asks.copy(), np.zeros(len(self.at)), np.zeros(len(self.at))
        free = asks.copy()
        for router, small in zip(self.plan.routers, self.small, strict=True):
            here = self.place[router.at]
            usable = here >= 0
            usable[usable] &= free[here[usable]]
            fees += self.draws.of(router.lever, "fee")[draw] * int(usable.sum())
            free[here[usable]] = False
            decided = router.decide(draw)
            routed = decided.routed & usable & small.can
            self._count(sums, draw, decided, routed)
            calls_big[here[routed & ~decided.fell_back]] = False
            self._pay(router, small, (here, routed), tokens, big, draw, (small_paid, small_busy))
        paid = np.where(self.own, 0.0, big * calls_big) + small_paid
        busy = np.where(self.own, big * calls_big, 0.0) + small_busy
        return paid, busy, float(fees)

    def _pay(
        self,
        router: Router,
        small: _Small,
        went: tuple[Ints, Bools],
        tokens: Ints | None,
        big: Floats,
        draw: int,
        into: tuple[Floats, Floats],
    ) -> None:
        here, routed = went
        to = here[routed]
        price = small.price(None if tokens is None else tokens[np.maximum(here, 0)])
        if price is not None:
            into[0][to] = price[routed]
            return
        assert isinstance(router.lever, Distillation)
        part = big[to] / self.draws.of(router.lever, "cheaper_by")[draw]
        into[0][to] = np.where(self.own[to], 0.0, part)
        into[1][to] = np.where(self.own[to], part, 0.0)

    def _tokens(self, draw: int) -> Ints | None:
        if not self.cuts:
            return None
        tokens = self.log.tokens[self.at].copy()
        for prompt, here in self.cuts:
            tokens[here] = prompt.shorten(tokens[here], self.draws, draw)
        return tokens

    @staticmethod
    def _count(sums: Mapping[str, Floats], draw: int, decided: Routed, routed: Bools) -> None:
        fell_back = routed & decided.fell_back
        sums["routed"][draw] += routed.sum()
        sums["fell_back"][draw] += fell_back.sum()
        sums["changed"][draw] += (routed & ~fell_back).sum()
