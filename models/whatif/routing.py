"""Requests sent to a smaller model by a router, or to a distilled one; a fallback pays both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from models.whatif.inputs import (
    NOTHING,
    Amount,
    Draws,
    Floats,
    Lever,
    Part,
    Positive,
    Share,
    assumed,
    below,
    numbers,
)
from models.whatif.log import Bools, Ints, Log, Which

ROUTING = (
    "sum over routed r of (cost_big(r) - cost_small(r)) - sum over fallbacks of cost_big(r) - fee for each eligible"
    " request; r is easy with easy, an easy one is routed with recall, a hard one with misrouted; a routed one falls"
    " back with fallback and then pays both"
)
DISTILLATION = (
    "as routing to a model that costs cost_big(r) / cheaper_by; payback = one_off / saving per month, where one_off ="
    " training_gpu_hours x gpu_hour_price + labels"
)
_ALL = assumed("not given: every one", 1)


class Target(Part):
    """Where requests go: a model of the price table, or one with prices of your own per million tokens."""

    model: str
    provider: str | None = None
    input: float | None = Field(default=None, ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    output: float | None = Field(default=None, ge=0)
    why: str | None = None  # where a price of your own is from

    @model_validator(mode="after")
    def _whole_price(self) -> Target:
        if (self.input is None) != (self.output is None):
            raise ValueError("a price of your own has both input and output")
        if self.input is not None and not self.why:
            raise ValueError("say in why where the price is from")
        return self


class Routing(Lever):
    """A router before a big model sends what it takes for easy to a small one."""

    kind: Literal["routing"]
    which: Which
    to: Target
    easy: Share  # part of the requests that the small model answers well enough
    recall: Share  # part of the easy ones that the router finds
    misrouted: Share  # part of the hard ones that it sends to the small model too
    fallback: Share  # part of the routed ones whose answer is refused and asked of the big model again
    fee: Amount = NOTHING  # currency for each request that the router looks at


class Distillation(Lever):
    """A small model of your own, trained on the big one's answers, takes over; it costs once, then less."""

    kind: Literal["distillation"]
    which: Which
    cheaper_by: Positive = assumed("preset: distilled models cost 5 to 10 times less", 5, 10)
    easy: Share = _ALL
    recall: Share = _ALL
    misrouted: Share = NOTHING
    fallback: Share = assumed("preset: 2 to 10 % are asked again of the big model", 0.02, 0.10)
    fee: Amount = NOTHING
    training_gpu_hours: Amount = NOTHING
    gpu_hour_price: Amount = NOTHING
    labels: Amount = NOTHING  # currency, once: answers of the big model to learn from, people who judge them

    def one_off(self, draws: Draws) -> Floats:
        """What it takes before it saves anything."""
        total: Floats = draws.of(self, "training_gpu_hours") * draws.of(self, "gpu_hour_price") + draws.of(
            self, "labels"
        )
        return total


@dataclass(frozen=True)
class Routed:
    """What one draw does to the requests that a router looks at: all arrays have one entry for each of them."""

    routed: Bools
    fell_back: Bools


class Router:
    """A router over the requests `at`, those whose cost is known, with each request's own numbers."""

    def __init__(self, log: Log, lever: Routing | Distillation, draws: Draws) -> None:
        self.lever, self.draws = lever, draws
        self.eligible = lever.which.of(log)
        self.at: Ints = np.flatnonzero(self.eligible & ~np.isnan(log.cost))
        self._places = {
            stream: numbers(log.key[self.at], draws.seed, f"{lever.name}.{stream}")
            for stream in ("easy", "router", "fallback")
        }

    def decide(self, draw: int) -> Routed:
        """Who goes where in `draw`."""
        easy = self._happens("easy", "easy", draw)
        found, sent = self._happens("router", "recall", draw), self._happens("router", "misrouted", draw)
        routed = (easy & found) | (~easy & sent)
        return Routed(routed, routed & self._happens("fallback", "fallback", draw))

    def _happens(self, stream: str, name: str, draw: int) -> Bools:
        return below(self._places[stream], stream, draw, self.draws.of(self.lever, name)[draw])
