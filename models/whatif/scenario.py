"""The scenario: its cards, and how the machines of each pool can be given back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from models.whatif.caching import ExactCache, RealisedCache, SemanticCache
from models.whatif.fleet import Batching, Quantisation, Rightsizing, Terms
from models.whatif.inputs import Part
from models.whatif.moves import BareMetal, Cloud, ToApi, ToOwnGpus
from models.whatif.prompts import Prompt
from models.whatif.reserved import Reserved
from models.whatif.routing import Distillation, Routing
from models.whatif.spot import Spot
from models.whatif.supply import Supply

RequestLever = ExactCache | SemanticCache | Routing | Distillation | Prompt
AnyLever = Annotated[
    ExactCache
    | SemanticCache
    | RealisedCache
    | Routing
    | Distillation
    | Prompt
    | Rightsizing
    | Quantisation
    | Batching
    | Spot
    | Reserved
    | Cloud
    | BareMetal
    | ToOwnGpus
    | ToApi
    | Supply,
    Field(discriminator="kind"),
]


class Scenario(Part):
    """A file of cards. More `draws` make the ends of intervals steadier; the same `seed` gives the same answer."""

    name: str = "scenario"
    draws: int = Field(default=200, ge=20, le=10_000)
    seed: int = 7
    fleets: tuple[Terms, ...] = ()
    cards: tuple[AnyLever, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_once(self) -> Scenario:
        for what, names in (
            ("card name", [card.name for card in self.cards]),
            ("pool of fleets", [terms.pool for terms in self.fleets]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} used twice: {', '.join(twice)}")
        return self

    def terms(self, pool: str) -> Terms:
        """Those of the pool; by default whole months, with 30 % of headroom, commitments kept."""
        return next((terms for terms in self.fleets if terms.pool == pool), Terms(pool=pool))
