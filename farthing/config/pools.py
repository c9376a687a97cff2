"""How cost reaches people: `[[pools]]`, and the known prices of `[[prices]]`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from farthing.config.section import Name, Patterns, Section

Method = Literal["phase_time", "gpu_seconds", "tokens", "requests"]
Driver = Literal["cost", "requests", "tokens", "users", "metric", "fixed"]
PoolKind = Literal["gpu", "api", "shared", "training", "owned"]


class TokenWeights(Section):
    """What a token of each class counts for, relative to the others; the defaults follow common list prices."""

    input: int = Field(default=10, ge=0)  # neither read from a cache nor written to one
    cached_input: int = Field(default=1, ge=0)
    cache_write: int = Field(default=12, ge=0)
    output: int = Field(default=50, ge=0)


class Price(Section):
    """`[[prices]]`: a known price, dated: of a model's tokens, or of an hour of a GPU. Bills always win over it."""

    model: Patterns | None = None  # as the requests name it (the model that answered)
    provider: str | None = None  # of the requests; any by default
    input: Decimal | None = Field(default=None, ge=0)  # per million tokens
    cached_input: Decimal | None = Field(default=None, ge=0)  # by default the price of input
    cache_write: Decimal | None = Field(default=None, ge=0)  # by default the price of input
    cache_write_1h: Decimal | None = Field(default=None, ge=0)  # by default the price of cache_write
    output: Decimal | None = Field(default=None, ge=0)
    request: Decimal = Field(default=Decimal(0), ge=0)  # per request, whatever its tokens
    service_tier: Literal["standard", "batch", "flex", "priority", "fast", "provisioned"] | None = (
        None  # by default all
    )
    gpu_model: Patterns | None = None  # as the inventory names it
    resource: Patterns | None = None  # ResourceId of the inventory
    gpu_hour: Decimal | None = Field(default=None, ge=0)  # per GPU and hour
    pool: str | None = None  # gpu_hour: the pool that a resource is in before its first bill
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None  # by default the project's
    valid_from: date | None = None  # by default since ever; the latest that has begun counts

    @model_validator(mode="after")
    def _of_one_thing(self) -> Price:
        if (self.gpu_hour is None) == (self.model is None):
            raise ValueError("a price is either of a model (model, input, output) or of GPUs (gpu_hour, pool)")
        if self.model is not None and (self.input is None or self.output is None):
            raise ValueError("the price of a model needs input and output, per million tokens")
        if self.gpu_hour is not None and self.pool is None:
            raise ValueError("the price of GPUs needs pool = the name of a pool of kind gpu or training")
        for name in ("input", "cached_input", "cache_write", "cache_write_1h", "output", "request", "gpu_hour"):
            value = getattr(self, name)
            if value is not None and value != round(value, 6):
                raise ValueError(f"{name} = {value} has more than six decimals")
        return self


class Pool(Section):
    """`[[pools]]`: which charges belong together, and how they reach users; the first that matches takes a charge."""

    name: Name
    kind: PoolKind
    class_: Literal["cogs", "rnd", "opex"] = Field(default="cogs", alias="class")
    gl_account: str | None = None  # account of the general ledger that its cost is booked on
    match: dict[str, Patterns] = Field(default_factory=dict)  # FOCUS column or Tags.key -> pattern; none takes all
    owner: str | None = None  # kind owned: "Tags.team" or a fixed "team:research"
    driver: Driver = "cost"
    metric: str | None = None  # driver metric: the `name` in the metrics table
    weights: dict[str, Decimal] = Field(default_factory=dict)  # driver fixed: team -> weight
    method: Method = "phase_time"
    idle: Literal["separate", "proportional", "owner"] = "separate"
    #: kind gpu: time without telemetry is a line of its own, or shared by the requests in flight and marked estimated.
    when_unobserved: Literal["unobserved", "residence"] = "unobserved"
    token_weights: TokenWeights = Field(default_factory=TokenWeights)  # kind api, method and driver tokens
    provider: str | None = None  # kind api: the requests' provider; by default all requests off our own GPUs

    @model_validator(mode="after")
    def _complete(self) -> Pool:
        if self.kind == "owned" and not self.owner:
            raise ValueError('a pool of kind \'owned\' needs owner = "Tags.team" or owner = "team:NAME"')
        if self.kind == "shared" and self.driver == "metric" and not self.metric:
            raise ValueError("driver 'metric' needs metric = the name in the metrics table")
        if self.kind == "shared" and self.driver == "fixed" and not self.weights:
            raise ValueError("driver 'fixed' needs weights = { team = 1, other-team = 2 }")
        return self
