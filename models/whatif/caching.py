"""Answers given twice: a cache before the models, replayed in the order of time, and what gateways' caches saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from models.whatif.inputs import NOTHING, Amount, Draws, Lever, Share, below, numbers
from models.whatif.log import Bools, Ints, Log, Which

Scope = Literal["customer", "team", "user", "model"]
EXACT = (
    "sum over requests r of cost(r), where the same prompt_hash in the same scope was answered before r began and less"
    " than ttl_hours ago, less lookup_fee for each request looked up"
)
SEMANTIC = (
    "as exact caching with the class of the request for its prompt_hash; a wrong hit is asked again and pays"
    " cost(r), and lookup_fee (the embedding) is paid for each request looked up"
)


class ExactCache(Lever):
    """A cache by `prompt_hash`: who asks the same words in the same scope within the time gets the stored answer."""

    kind: Literal["exact_cache"]
    which: Which = Which()
    scope: tuple[Scope, ...] = Field(default=("customer", "model"), min_length=1)
    ttl_hours: float = Field(gt=0)
    lookup_fee: Amount = NOTHING  # currency for each request looked up


class SemanticCache(Lever):
    """A cache by meaning: needs the class that each request belongs to, from who compared the prompts."""

    kind: Literal["semantic_cache"]
    classes: str  # a file with request_id and class
    which: Which = Which()
    scope: tuple[Scope, ...] = Field(default=("customer", "model"), min_length=1)
    ttl_hours: float = Field(gt=0)
    wrong: Share  # part of the hits whose answer does not fit: asked again
    lookup_fee: Amount = NOTHING


class RealisedCache(Lever):
    """What a gateway's cache did save in the month: its hits at the price that they would have had."""

    kind: Literal["realised_cache"]
    which: Which = Which()


@dataclass(frozen=True)
class Replayed:
    """A cache that was replayed: which requests it looked up, and which of them it answered."""

    lever: ExactCache | SemanticCache
    looked_up: Bools
    hits: Bools
    without_key: int  # matched requests whose prompt or scope is not known: never a hit

    def asked_again(self, log: Log, draws: Draws, draw: int) -> Bools:
        """The hits of one draw that did not fit and are asked again."""
        if isinstance(self.lever, ExactCache):
            return np.zeros(len(log), dtype=bool)
        at = np.flatnonzero(self.hits)
        own = numbers(log.key[at], draws.seed, f"{self.lever.name}.wrong")
        again = np.zeros(len(log), dtype=bool)
        again[at] = below(own, "wrong", draw, draws.of(self.lever, "wrong")[draw])
        return again


def replay(log: Log, lever: ExactCache | SemanticCache, same: Ints) -> Replayed:
    """Put the month through a cache that is empty at its begin.

    `same` is a code for each request of what makes it the same as another, -1 where that is not known. An answer is
    stored when its request ends and holds for the time to live from then; a failed request stores nothing, and one
    that a gateway's cache has answered does not come this far.
    """
    looked_up = lever.which.of(log)
    keys = [same, *(log.names[name].codes for name in lever.scope)]
    known = looked_up.copy()
    for key in keys:
        known &= key >= 0
    at = np.flatnonzero(known)
    together = np.zeros(len(at), dtype=np.int64)
    for key in keys:
        _, together = np.unique(together * (int(key.max(initial=0)) + 1) + key[at], return_inverse=True)
    counts = np.bincount(together, minlength=1)
    at, together = at[counts[together] > 1], together[counts[together] > 1]
    order = np.lexsort((at, log.started_us[at], together))
    hits = np.zeros(len(log), dtype=bool)
    _walk(log, at[order], together[order], round(lever.ttl_hours * 3.6e9), hits)
    return Replayed(lever, looked_up, hits, int(looked_up.sum() - known.sum()))


def _walk(log: Log, at: Ints, together: Ints, ttl_us: int, hits: Bools) -> None:
    """Requests of one key after another, by time: the latest answer that is there by then counts."""
    none = -(2**62)
    group, latest, coming = -1, none, list[int]()
    starts, ends, failed = log.started_us[at].tolist(), log.ended_us[at].tolist(), log.failed[at].tolist()
    answered = []
    for key, start, end, has_failed in zip(together.tolist(), starts, ends, failed, strict=True):
        if key != group:
            group, latest, coming = key, none, []
        if coming:
            latest = max([latest, *(one for one in coming if one <= start)])
            coming = [one for one in coming if one > start]
        if start - latest < ttl_us:
            answered.append(True)
            continue
        answered.append(False)
        if not has_failed:
            coming.append(end)
    hits[at[np.array(answered, dtype=bool)]] = True


def same_prompt(log: Log) -> Ints:
    """The code of the prompt, for an exact cache."""
    return log.names["prompt"].codes


def same_class(classes: Mapping[str, str], request_ids: list[str]) -> Ints:
    """The code of the class of each request, -1 where the file has none."""
    codes: dict[str, int] = {}
    found = (classes.get(name) for name in request_ids)
    return np.array([-1 if one is None else codes.setdefault(one, len(codes)) for one in found], dtype=np.int64)
