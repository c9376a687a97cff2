"""Routing and caching on one log: the joint replay against a plain loop over the requests, and against the sum."""

from __future__ import annotations

import argparse
import json
import math
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.whatif.caching import ExactCache, replay, same_prompt
from models.whatif.inputs import Draws, Input
from models.whatif.joint import Outcome, Plan, Sold
from models.whatif.joint import replay as replay_requests
from models.whatif.log import Log, Names, Price, Which
from models.whatif.prompts import Prompt
from models.whatif.routing import Router, Routing, Target

SEED = 7
_MONTH_US = 30 * 86_400_000_000
_FOREVER, _NO_LIMIT = 10**9, 2**62
BIG = Price("standard", -_FOREVER, _FOREVER, 0, 1440, -1, _NO_LIMIT, (3e-6, 3e-7, 3.75e-6, 6e-6, 15e-6, 15e-6), 0.0)
SMALL = Price("standard", -_FOREVER, _FOREVER, 0, 1440, -1, _NO_LIMIT, (3e-7, 3e-8, 3.75e-7, 6e-7, 1.5e-6, 1.5e-6), 0.0)
CACHE = ExactCache(name="cache", kind="exact_cache", scope=("customer", "model"), ttl_hours=24)


def router(*, known: bool) -> Routing:
    """A router whose chances are known, or have priors around the same."""

    def chance(value: float, weight: float) -> Input:
        if known:
            return Input(value=value, basis="assumed", why="toy")
        return Input(beta=(value * weight, (1 - value) * weight), basis="assumed", why="toy")

    return Routing(
        name="router",
        kind="routing",
        which=Which(models=("big",)),
        to=Target(model="small"),
        easy=chance(0.457, 100),
        recall=chance(0.85, 100),
        misrouted=chance(0.04, 100),
        fallback=chance(0.06, 100),
    )


def made(rows: int, seed: int = SEED) -> Log:
    """A month of requests to one big model: some prompts come often, most once; three sizes of customers."""
    random = np.random.default_rng(seed)
    started = np.sort(random.integers(0, _MONTH_US, rows))
    often = random.random(rows) < 0.34
    prompt = np.where(often, random.zipf(1.35, rows) % max(rows // 300, 2), np.arange(rows) + rows)
    _, prompt = np.unique(prompt, return_inverse=True)
    tokens = np.zeros((rows, 6), dtype=np.int64)
    size = np.where(often, 0.8, 1.0)  # what comes often is short: a hit costs less than the mean
    tokens[:, 0] = (size * random.lognormal(7, 1, rows)).astype(np.int64) + 1
    tokens[:, 1] = tokens[:, 0] * (random.random(rows) < 0.3) // 2
    tokens[:, 4] = (size * random.lognormal(5.5, 1, rows)).astype(np.int64) + 1
    return log_of(
        started=started,
        ended=started + random.integers(200_000, 20_000_000, rows),
        tokens=tokens,
        prompt=prompt,
        customer=random.integers(0, 3, rows),
        failed=random.random(rows) < 0.01,
    )


def log_of(*, started: Any, ended: Any, tokens: Any, prompt: Any, customer: Any, failed: Any, rates: Any = 1.0) -> Log:
    """A log of one big model, priced by its table and billed at `rates` of that; arrays by request, codes from 0."""
    rows = len(started)
    nobody = Names(np.full(rows, -1), [])
    one = Names(np.zeros(rows, dtype=np.int64), ["standard"])
    unit = np.array(BIG.unit)
    apart = np.stack(
        [
            tokens[:, 0] - tokens[:, 1] - tokens[:, 2],
            tokens[:, 1],
            tokens[:, 2] - tokens[:, 3],
            tokens[:, 3],
            tokens[:, 4] - tokens[:, 5],
            tokens[:, 5],
        ],
        axis=1,
    )
    price = (apart * unit).sum(axis=1)
    return Log(
        key=np.random.default_rng(1).integers(0, 2**64, rows, dtype=np.uint64),
        started_us=np.asarray(started, dtype=np.int64),
        ended_us=np.asarray(ended, dtype=np.int64),
        hour=np.asarray(started, dtype=np.int64) // 3_600_000_000,
        tokens=tokens,
        cost=price * rates,
        price=price,
        table=np.zeros(rows, dtype=np.int64),
        prices=[[BIG]],
        own=np.zeros(rows, dtype=bool),
        counted=np.ones(rows, dtype=bool),
        failed=np.asarray(failed, dtype=bool),
        cached=np.zeros(rows, dtype=bool),
        names={
            **dict.fromkeys(("team", "user", "feature", "environment", "pool"), nobody),
            "model": Names(np.zeros(rows, dtype=np.int64), ["big"]),
            "provider": Names(np.zeros(rows, dtype=np.int64), ["vendor"]),
            "tier": one,
            "customer": Names(np.asarray(customer, dtype=np.int64), [f"customer-{code}" for code in range(99)]),
            "prompt": Names(np.asarray(prompt, dtype=np.int64), []),
        },
    )


def outcome(
    log: Log, draws: Draws, *, cache: ExactCache | None, route: Routing | None, cut: Prompt | None = None
) -> Outcome:
    """What the levers given do to the log, by draw."""
    plan = Plan(
        caches=[replay(log, cache, same_prompt(log))] if cache else [],
        routers=[Router(log, route, draws)] if route else [],
        prompts=[cut] if cut else [],
    )
    return replay_requests(log, plan, {"router": Sold([SMALL], 1.0)}, draws)


# The plain loop: nothing of the above but the log, the prices and the rules as docs/whatif.md has them


_MASK = 2**64 - 1
_TURNS = {"easy": 0.6180339887498949, "router": 0.4142135623730951, "fallback": 0.7320508075688772}


def _happens(key: int, seed: int, lever: str, stream: str, draw: int, chance: float) -> bool:
    if chance >= 1:
        return True
    mixed = key ^ (zlib.crc32(f"{seed}.{lever}.{stream}".encode()) * 0x9E3779B97F4A7C15 & _MASK)
    mixed = (mixed + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    mixed ^= mixed >> 31
    place = ((mixed >> 32) + int(draw * _TURNS[stream] % 1.0 * 2**32)) % 2**32
    return place < int(chance * 2**32)


@dataclass
class _Request:
    key: int
    start: int
    end: int
    tokens: list[int]
    cost: float
    prompt: int
    customer: int
    failed: bool


def _requests(log: Log) -> Iterator[_Request]:
    for at in range(len(log)):
        yield _Request(
            int(log.key[at]),
            int(log.started_us[at]),
            int(log.ended_us[at]),
            [int(one) for one in log.tokens[at]],
            float(log.cost[at]),
            int(log.names["prompt"].codes[at]),
            int(log.names["customer"].codes[at]),
            bool(log.failed[at]),
        )


def _price(tokens: list[int], price: Price) -> float:
    read, cached, written, hour, output, reasoning = tokens
    parts = (read - cached - written, cached, written - hour, hour, output - reasoning, reasoning)
    return math.fsum(count * unit for count, unit in zip(parts, price.unit, strict=True)) + price.request


def plain_saving(
    log: Log, draws: Draws, draw: int, *, cache: ExactCache | None, route: Routing | None, cut: Prompt | None = None
) -> float:
    """The saving of one draw, request after request, each through cache, router, prompt and price."""
    chances: Mapping[str, float] = {}
    if route is not None:
        chances = {name: float(draws.of(route, name)[draw]) for name in ("easy", "recall", "misrouted", "fallback")}
    stored: dict[tuple[int, int], list[int]] = {}  # when each answer of a key was there
    before, after = [], []
    for one in _requests(log):
        before.append(one.cost)
        if cache is not None and one.prompt >= 0 and one.customer >= 0:
            there = [moment for moment in stored.get((one.customer, one.prompt), []) if moment <= one.start]
            if there and one.start - max(there) < cache.ttl_hours * 3.6e9:
                continue
            if not one.failed:
                stored.setdefault((one.customer, one.prompt), []).append(one.end)
        tokens = list(one.tokens)
        if cut is not None:
            fresh, again, text = (float(draws.of(cut, name)[draw]) for name in ("uncached", "cached", "output"))
            gone = [int((tokens[0] - tokens[1] - tokens[2]) * fresh), int(tokens[1] * again)]
            written = int((tokens[4] - tokens[5]) * text)
            tokens = [tokens[0] - sum(gone), tokens[1] - gone[1], *tokens[2:4], tokens[4] - written, tokens[5]]
        usual = _price(one.tokens, BIG)
        big = one.cost * (_price(tokens, BIG) / usual) if usual else one.cost
        if route is None:
            after.append(big)
            continue
        easy = _happens(one.key, draws.seed, "router", "easy", draw, chances["easy"])
        chance = chances["recall"] if easy else chances["misrouted"]
        if not _happens(one.key, draws.seed, "router", "router", draw, chance):
            after.append(big)
            continue
        after.append(_price(tokens, SMALL))
        if _happens(one.key, draws.seed, "router", "fallback", draw, chances["fallback"]):
            after.append(big)
    return math.fsum(before) - math.fsum(after)


def measured(rows: int, checked_draws: int) -> dict[str, Any]:
    """Savings as parts of the cost, how far the replay is from the plain loop, and what each takes."""
    log = made(rows)
    whole = float(log.cost.sum())
    found: dict[str, Any] = {"requests": rows}
    for name, known in (("known", True), ("priors", False)):
        draws = Draws(200, SEED)
        route = router(known=known)
        began = time.process_time()
        joint = outcome(log, draws, cache=CACHE, route=route)
        seconds = time.process_time() - began
        parts = {
            "routing": outcome(log, draws, cache=None, route=route).saved / whole,
            "cache": outcome(log, draws, cache=CACHE, route=None).saved / whole,
            "joint": joint.saved / whole,
        }
        parts["sum"] = parts["routing"] + parts["cache"]
        parts["independent"] = 1 - (1 - parts["routing"]) * (1 - parts["cache"])
        found[name] = {
            part: [float(one) for one in np.quantile(values, (0.05, 0.5, 0.95))] for part, values in parts.items()
        }
        worst, plain_seconds = 0.0, 0.0
        for draw in range(checked_draws):
            began = time.process_time()
            expected = plain_saving(log, draws, draw, cache=CACHE, route=route)
            plain_seconds += time.process_time() - began
            worst = max(worst, abs(joint.saved[draw] - expected) / abs(expected))
        found[name] |= {
            "largest_difference": worst,
            "draws_checked": checked_draws,
            "cpu_seconds_a_draw": seconds / draws.count,
            "plain_cpu_seconds_a_draw": plain_seconds / checked_draws,
        }
    hits = replay(log, CACHE, same_prompt(log)).hits
    found["hit_requests"] = float(hits.mean())
    found["hit_cost"] = float(log.cost[hits].sum() / whole)
    return found


def main() -> None:
    """Print the savings, and how far the replay is from the plain loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--draws", type=int, default=3, help="draws that the plain loop goes through too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.rows, options.draws)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(
        f"{found['requests']:,} requests; cached {found['hit_requests']:.1%} of them, {found['hit_cost']:.1%} of cost"
    )
    for name in ("known", "priors"):
        print(f"\nchances {name}")
        for part in ("routing", "cache", "sum", "independent", "joint"):
            low, middle, high = found[name][part]
            print(f"  {part:12} {middle:7.1%}   {low:.1%} to {high:.1%}")
        one = found[name]
        print(f"  furthest from the plain loop in {one['draws_checked']} draws: {one['largest_difference']:.1e}")
        print(f"  cpu s a draw: {one['cpu_seconds_a_draw']:.4f}, plain loop {one['plain_cpu_seconds_a_draw']:.3f}")


if __name__ == "__main__":
    main()
