"""`[anomalies]`: from when on spend stands out, what rules it must keep, and what is known to happen."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from farthing.config.section import Section

Amount = Annotated[Decimal, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Planned(Section):
    """`[[anomalies.planned]]`: what is known to happen to a scope, so that nobody is told of it."""

    what: str
    day: date
    until: date | None = None  # the last day; without one it stays so, and days before it say nothing any more
    dimension: str = "total"  # as in scope_days; total: everything
    key: str | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Planned:
        if self.until is not None and self.until < self.day:
            raise ValueError(f"'{self.what}' ends on {self.until}, before it begins")
        return self


class Anomalies(Section):
    """`[anomalies]`: amounts are in the currency of the scope that is looked at."""

    threshold: float = Field(default=3.1, gt=1.5)  # standard deviations from which on a day stands out
    floor: Amount = Decimal(25)  # impact below it is nobody's time
    scope_share: Share = 0.05  # ... and below this share of a usual day of the scope
    total_share: Share = 0.01  # ... and below this share of a usual day of the company
    rule_floor: Amount = Decimal(5)  # the floor of broken rules: unassigned, unpriced, new, idle
    idle_hours: int = Field(default=24, ge=24, le=24 * 14, multiple_of=24)  # whole days, UTC
    idle_busy_share: Share = 0.01  # a GPU that is busy less is idle
    price_rise: float = Field(default=0.03, gt=0)  # a unit price that rose by less is rounding
    user_limits: dict[str, Amount] = Field(default_factory=dict)  # plan, or * for all others: cost of a user
    user_limit_days: int = Field(default=7, ge=1, le=62)  # ... within so many days
    holidays: list[date] = Field(default_factory=list)  # neither judged nor learned from
    planned: list[Planned] = Field(default_factory=list)
