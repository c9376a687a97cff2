"""Levers on requests, alone and together: each request goes through cache, router and prompt, and then has a price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.whatif.caching import Replayed, SemanticCache
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
        self.can: Bools = np.ones(len(self._at), dtype=bool)
        if sold is not None:
            self._quote = quote(sold.prices, log, self._at, log.tokens[self._at])
            self.can = ~np.isnan(self._quote.request)
            self._usual = self._quote.price(log.tokens[self._at]) * sold.bill_rate

    def price(self, cut: Ints, tokens: Ints) -> Floats | None:
        """Of each request, None where the lever says a part of the big one's; those at `cut` have other `tokens`."""
        if self._sold is None:
            return None
        if not len(cut):
            return self._usual
        found = self._usual.copy()
        some = _part(self._quote, cut)
        found[cut] = _requoted(some, self._sold.prices, self._log, self._at[cut], tokens) * self._sold.bill_rate
        return found


def _part(of: Quote, here: Ints) -> Quote:
    return Quote(of.unit[here], of.request[here], of.over[here], of.upto[here])


def _requoted(found: Quote, prices: Sequence[Price], log: Log, at: Ints, tokens: Ints) -> Floats:
    """The price with other tokens than those that `found` was looked up with."""
    result = found.price(tokens)
    other = np.flatnonzero((tokens[:, 0] <= found.over) | (tokens[:, 0] > found.upto))
    if len(other):
        result[other] = quote(prices, log, at[other], tokens[other]).price(tokens[other])
    return result


class _Cut:
    """The requests that prompts shorten: which they are, and what they cost then in proportion to the price table."""

    def __init__(self, log: Log, plan: Plan, at: Ints) -> None:
        every = [prompt.which.of(log)[at] for prompt in plan.prompts]
        touched = np.logical_or.reduce(every) if every else np.zeros(len(at), dtype=bool)
        self.here = np.flatnonzero(touched)
        self.place = np.full(len(at), -1)
        self.place[self.here] = np.arange(len(self.here))
        self._steps = [
            (prompt, np.flatnonzero(mask[self.here])) for prompt, mask in zip(plan.prompts, every, strict=True)
        ]
        self._log, self._at = log, at[self.here]
        self._tokens = np.asfortranarray(log.tokens[self._at])  # columns are what is worked on
        self._quote = own_quote(log, self._at, self._tokens)
        self._usual = self._quote.price(self._tokens)

    def tokens(self, draws: Draws, draw: int) -> Ints:
        """What is left of them in `draw`."""
        tokens = self._tokens
        for prompt, here in self._steps:
            if len(here) == len(tokens):
                tokens = prompt.shorten(tokens, draws, draw)
                continue
            tokens = tokens.copy(order="K")
            tokens[here] = prompt.shorten(tokens[here], draws, draw)
        return tokens

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
        place = np.full(len(log), -1)
        place[at] = np.arange(len(at))
        self.cost, self.own = log.cost[at], log.own[at]
        self.api_cost = np.where(self.own, 0.0, self.cost)
        self.cut = _Cut(log, plan, at)
        self.small = [_Small(log, router, sold.get(router.lever.name)) for router in plan.routers]
        self.routed = [place[router.at] for router in plan.routers]
        self.both = [np.flatnonzero(self.cut.place[here] >= 0) for here in self.routed]  # that are shortened too
        pool = log.names["pool"]
        codes = np.where(self.own, pool.codes[at], -1)
        self.pools = {pool.names[code]: np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])}
        self.hours = int(log.hour.max(initial=-1)) + 1

    def run(self, matched: int, without_cost: int) -> Outcome:
        count = self.draws.count
        sums = {
            name: np.zeros(count)
            for name in ("saved", "hits", "hit_cost", "asked_again", "routed", "fell_back", "changed")
        }
        freed = {name: np.zeros((count, self.hours)) for name in self.pools}
        baseline = float(self.api_cost.sum())
        different = count if self._varies() else 1
        for draw in range(different):
            paid, busy, fees = self._draw(draw, sums)
            sums["saved"][draw] = baseline - paid - fees
            for name, here in self.pools.items():
                less = self.cost[here] - busy[here]
                freed[name][draw] = np.bincount(self.log.hour[self.at[here]], weights=less, minlength=self.hours)
        for values in (*sums.values(), *freed.values()):
            values[different:] = values[0]
        return Outcome(
            **sums,
            baseline=baseline,
            matched=matched,
            on_own_gpus=int(self.own.sum()),
            without_cost=without_cost,
            cannot=sum(int((~small.can).sum()) for small in self.small),
            freed=freed,
        )

    def _varies(self) -> bool:
        """Whether one draw differs from another: a router's requests turn, and inputs may be ranges."""
        levers = [*(cache.lever for cache in self.plan.caches), *self.plan.prompts]
        fixed = all(given.value is not None for lever in levers for given in lever.inputs().values())
        wrong = any(isinstance(cache.lever, SemanticCache) for cache in self.plan.caches)
        return bool(self.plan.routers) or wrong or not fixed

    def _draw(self, draw: int, sums: Mapping[str, Floats]) -> tuple[float, Floats, float]:
        """What is paid for APIs, what each request keeps busy on own GPUs, and the fees of caches and routers."""
        asks, fees = self._caches(draw, sums)
        tokens = self.cut.tokens(self.draws, draw)
        big = self.api_cost
        if len(self.cut.here):
            big = big.copy()
            big[self.cut.here] *= self.cut.ratio(tokens)
        calls_big, free = asks.copy(), asks
        small_paid, small_busy = 0.0, np.zeros(len(self.at) if self.pools else 0)
        for router, small, here, both in zip(self.plan.routers, self.small, self.routed, self.both, strict=True):
            usable = free[here]
            fees += self.draws.of(router.lever, "fee")[draw] * int(usable.sum())
            free[here] = False
            decided = router.decide(draw)
            goes = decided.routed & usable & small.can
            self._count(sums, draw, decided, goes)
            to = here[goes]
            calls_big[here[goes & ~decided.fell_back]] = False
            price = small.price(both, tokens[self.cut.place[here[both]]])
            if price is not None:
                small_paid += float(price[goes].sum())
                continue
            assert isinstance(router.lever, Distillation)
            cheaper_by = self.draws.of(router.lever, "cheaper_by")[draw]
            small_paid += float(big[to].sum()) / cheaper_by
            if self.pools:
                small_busy[to] = np.where(self.own[to], self.cost[to], 0.0) / cheaper_by
        busy = self.cost * calls_big + small_busy if self.pools else small_busy
        return float(big[calls_big].sum()) + small_paid, busy, float(fees)

    def _caches(self, draw: int, sums: Mapping[str, Floats]) -> tuple[Bools, float]:
        """Which requests still ask a model, and what looking up costs."""
        asks, fees = np.ones(len(self.at), dtype=bool), 0.0
        for cache in self.plan.caches:
            fees += self.draws.of(cache.lever, "lookup_fee")[draw] * int((cache.looked_up[self.at] & asks).sum())
            hits = cache.hits[self.at] & asks
            again = cache.asked_again(self.log, self.draws, draw)[self.at] & hits
            sums["hits"][draw] += hits.sum()
            sums["hit_cost"][draw] += self.api_cost[hits & ~again].sum()
            sums["asked_again"][draw] += again.sum()
            asks &= ~hits | again
        return asks, fees

    @staticmethod
    def _count(sums: Mapping[str, Floats], draw: int, decided: Routed, goes: Bools) -> None:
        fell_back = goes & decided.fell_back
        sums["routed"][draw] += goes.sum()
        sums["fell_back"][draw] += fell_back.sum()
        sums["changed"][draw] += (goes & ~fell_back).sum()
