"""Shorter prompts: tokens that are not read, or not written, any more."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from models.whatif.inputs import NOTHING, Draws, Lever, Share
from models.whatif.log import Ints, Which

PROMPT = (
    "sum over r of cost(r) x (1 - price(tokens after) / price(tokens)): of the input that is not cached, of cache reads"
    " and of the output the given parts go, in whole tokens; a step of the price table counts at the new size"
)


class Prompt(Lever):
    """Prompts, or answers, of some requests get shorter by a part."""

    kind: Literal["prompt"]
    which: Which = Which()
    uncached: Share = NOTHING  # of the input tokens that no cache is read or written for
    cached: Share = NOTHING
    output: Share = NOTHING  # of the output that is not reasoning

    @model_validator(mode="after")
    def _something(self) -> Prompt:
        if max(self.uncached.bounds[1], self.cached.bounds[1], self.output.bounds[1]) == 0:
            raise ValueError("nothing gets shorter: give uncached, cached or output")
        return self

    def shorten(self, tokens: Ints, draws: Draws, draw: int) -> Ints:
        """`tokens` (columns of `log.TOKENS`) of some requests as they are after it."""
        part = {name: draws.of(self, name)[draw] for name in ("uncached", "cached", "output")}
        less_uncached = np.floor((tokens[:, 0] - tokens[:, 1] - tokens[:, 2]) * part["uncached"]).astype(np.int64)
        less_cached = np.floor(tokens[:, 1] * part["cached"]).astype(np.int64)
        less_output = np.floor((tokens[:, 4] - tokens[:, 5]) * part["output"]).astype(np.int64)
        after = tokens.copy(order="K")
        after[:, 0] -= less_uncached + less_cached
        after[:, 1] -= less_cached
        after[:, 4] -= less_output
        return after
