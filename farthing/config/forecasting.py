"""`[forecast]`: which series are forecast, how far, and by which model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from farthing.config.section import Section


class Forecasting(Section):
    """`[forecast]`: what `farthing forecast` and each `farthing run` issue."""

    model: str = "ensemble"
    #: A scope, or all scopes of a dimension, that another model forecasts: `"team=support" = "prophet"`.
    models: dict[str, str] = Field(default_factory=dict)
    #: Dimensions of scope_days; total, team and model are sums of `team x model`.
    scopes: list[str] = Field(
        default_factory=lambda: ["total", "team", "model", "team x model", "pool", "provider"], min_length=1
    )
    largest: int = Field(default=20, ge=1)  # keys of a dimension that are forecast, by the cost of 60 days
    horizon_days: int = Field(default=90, ge=1, le=366)
    paths: int = Field(default=200, ge=50, le=2000)
    seed: int = Field(default=0, ge=0)
    holidays: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None  # the country whose holidays prophet knows
    events: str | None = None  # a CSV of what is known to come
