"""One thing that stands out, before it is known whether somebody was told of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypedDict

Level = Literal["page", "detail"]


class Slice(TypedDict):
    """What explains a change: a slice of the bill or the ledger, or a single task, with the part that it explains.

    The effects add up to `after` less `before`; they are None where nothing was counted.
    """

    of: Literal["bill", "ledger", "task"]
    slice: dict[str, str | None]
    before: float
    after: float
    share: float
    price_effect: float | None
    volume_effect: float | None


@dataclass(frozen=True)
class Finding:
    """Money that a scope cost beyond what was expected, from `first` to `last`, found by `rule`.

    Amounts are estimates in `currency`; `score` counts standard deviations, None where a rule was broken. `parent` is
    the id of the finding that explains this one; `pools` are those in which a rule was broken.
    """

    rule: str
    dimension: str
    key: str | None
    currency: str
    first: date
    last: date
    found: date
    open: bool
    expected: float
    actual: float
    title: str
    score: float | None = None
    level: Level = "page"
    cause: list[Slice] = field(default_factory=list)
    parent: str | None = None
    pools: frozenset[str] = frozenset()

    @property
    def impact(self) -> float:
        """Actual less expected."""
        return self.actual - self.expected

    @property
    def impact_a_day(self) -> float:
        """Its impact by the number of its days."""
        return self.impact / ((self.last - self.first).days + 1)

    @property
    def id(self) -> str:
        """The same as long as it goes on: made of what it is about and the day on which it was found."""
        about = "\x1f".join([self.rule, self.dimension, self.key or "", self.currency, self.found.isoformat()])
        return hashlib.sha256(about.encode()).hexdigest()[:12]

    def below(self, parent: Finding) -> Finding:
        """The same, explained by `parent`: nobody is told of it by itself."""
        return replace(self, level="detail", parent=parent.id)
