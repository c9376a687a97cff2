"""What a budget has to say to people, as plain facts: which threshold is crossed, by whom, by how much, since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from farthing import figures
from farthing.budgets.status import Crossing, Measure, Status

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fact:
    """A crossed threshold. `id` is the same in each run as long as it stays crossed, and another in the next period."""

    id: str
    budget: str
    dimension: str
    key: str | None  # null for the total
    scope: str  # both for people
    measure: Measure  # actual: it is spent; landing, q80: it is forecast
    percent: int
    level: Decimal  # percent of amount
    value: Decimal | float  # what reached it; a forecast is an estimate and a float
    amount: Decimal
    actual: Decimal
    provisional: Decimal  # of actual: no bill confirms it yet
    currency: str
    begin: date
    end: date  # not part of the period
    rolling: bool
    since: date

    @property
    def title(self) -> str:
        """The fact in a line."""
        said = {"actual": "is spent", "landing": "is expected", "q80": "is not excluded"}
        return f"Budget {self.budget}, {self.scope}: {self.percent} % {said[self.measure]}"

    @property
    def what(self) -> str:
        """The fact in a sentence."""
        days, last = (self.end - self.begin).days, figures.day(self.end - _DAY)
        when = f"the {days} days to {last}" if self.rolling else f"{self.begin:%B %Y}"
        of = f"{figures.money(self.actual)} of {figures.money(self.amount)} {self.currency}"
        spent = f"{self.scope} cost {of} in {when}"
        unsure = f", {figures.money(self.provisional)} of it provisional" if self.provisional else ""
        if self.measure == "actual":
            return f"{spent}{unsure}; {self.percent} % was crossed on {figures.day(self.since)}."
        foreseen = "is expected to land at" if self.measure == "landing" else "stays with a chance of 80 % below"
        since = f"beyond {self.percent} % since the forecast of {figures.day(self.since)}"
        return f"{spent}{unsure}, and {foreseen} {self.value:,.2f}: {since}."


def alerts(statuses: Iterable[Status]) -> list[Fact]:
    """The highest threshold of each measure that each budget has crossed.

    A forecast of what is spent already is no news.
    """
    return [fact for status in statuses for fact in _of(status)]


def _of(status: Status) -> Iterator[Fact]:
    if status.actual is None or status.provisional is None:
        return
    limit = status.limit
    highest: dict[Measure, Crossing] = {}
    for crossing in status.crossings:
        if crossing.measure not in highest or crossing.percent > highest[crossing.measure].percent:
            highest[crossing.measure] = crossing
    for measure, crossing in highest.items():
        if measure != "actual" and status.actual > 0 and crossing.level <= status.actual:
            continue
        # A month is one occasion for a threshold; a window is again one whenever it comes from below.
        period = crossing.since if limit.rolling else limit.begin
        what = (
            limit.name,
            status.dimension,
            status.key or "",
            limit.currency,
            measure,
            f"{crossing.percent}",
            f"{period}",
        )
        yield Fact(
            "/".join(("budget", *what)),
            limit.name,
            status.dimension,
            status.key,
            status.scope,
            measure,
            crossing.percent,
            crossing.level,
            crossing.value,
            limit.amount,
            status.actual,
            status.provisional,
            limit.currency,
            limit.begin,
            limit.end,
            limit.rolling,
            crossing.since,
        )
