"""What may be spent, on whom and when: `[[budgets]]`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from farthing.config.section import Name, Section

#: What a budget can be of.
Dimension = Literal["team", "model", "customer", "user", "plan", "pool", "provider"]
Percents = list[Annotated[int, Field(gt=0, le=10_000)]]


class Thresholds(Section):
    """`[budgets.thresholds]`: at how many percent of the amount a budget has something to say."""

    actual: Percents = Field(default_factory=lambda: [50, 80, 100])  # of what was spent to date
    landing: Percents = Field(default_factory=lambda: [100])  # of the month-end forecast; a window has none
    q80: Percents = Field(default_factory=lambda: [100])  # of the amount that it stays below with 80 %


class Budget(Section):
    """`[[budgets]]`: an amount for a scope, each calendar month or in any window of so many days."""

    name: Name
    scope: dict[Dimension, str] = Field(default_factory=dict)  # all of it holds; "*": each one on its own
    amount: Decimal = Field(gt=0, max_digits=26, decimal_places=12)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None  # by default the project's
    period: Literal["month"] = "month"
    window_days: int | None = Field(default=None, ge=1, le=366)  # instead of a month: the last so many days
    from_: date | None = Field(default=None, alias="from")  # the first day on which it holds
    until: date | None = None  # the first day on which it holds no more
    thresholds: Thresholds = Field(default_factory=Thresholds)

    @model_validator(mode="after")
    def _sensible(self) -> Budget:
        if self.window_days is not None:
            if "period" in self.model_fields_set:
                raise ValueError("period and window_days are two ways; keep one of them")
            for name in ("landing", "q80"):
                if name in self.thresholds.model_fields_set:
                    raise ValueError(f"thresholds.{name} is of a month's end, and a window of days has none")
        else:
            for name, day in (("from", self.from_), ("until", self.until)):
                if day is not None and day.day != 1:
                    raise ValueError(f"{name} = {day}: a budget of months begins and ends with a month's first day")
        if self.from_ is not None and self.until is not None and self.until <= self.from_:
            raise ValueError("until is not after from")
        if empty := [dimension for dimension, key in self.scope.items() if not key]:
            raise ValueError(f'scope.{empty[0]} is empty; name one, or "*" for each on its own')
        if list(self.scope.values()).count("*") > 1:
            raise ValueError('scope has more than one "*"; each on its own goes by one of them')
        return self
