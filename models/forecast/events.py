"""Days that the user knows of: holidays and launches behind us, and edits of the path ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from models.series import Days, Values


@dataclass(frozen=True)
class KnownEvent:
    """From `first` to `last` (None: for good), days are multiplied by `factor` and then get `amount` added.

    `uids` are the series it is about; None is all. Only events that begin after the origin edit the path: what began
    before is in the history. Events that are over tell prophet, by `name`, which days were not like others.
    """

    name: str
    first: date
    last: date | None = None
    factor: float = 1.0
    amount: float = 0.0
    uids: frozenset[str] | None = None


def edits(events: Sequence[KnownEvent], uids: Sequence[str], days: Days) -> tuple[Values, Values]:
    """What the events do to the forecast of `uids` on `days`: factors and amounts, each (n, h), in their order."""
    factor, amount = np.ones((len(uids), len(days))), np.zeros((len(uids), len(days)))
    for event in events:
        first = np.datetime64(event.first, "D")
        if not len(days) or first < days[0]:
            continue
        ahead = days >= first
        if event.last is not None:
            ahead &= days <= np.datetime64(event.last, "D")
        rows = np.array([event.uids is None or uid in event.uids for uid in uids], dtype=np.bool_)
        hit = rows[:, None] & ahead[None, :]
        factor = np.where(hit, factor * event.factor, factor)
        amount = np.where(hit, amount * event.factor + event.amount, amount)
    return factor, amount


def named_days(events: Sequence[KnownEvent], longest_days: int = 14) -> list[tuple[date, str]]:
    """Every day of the events that do not last longer than `longest_days`, with its name."""
    found: list[tuple[date, str]] = []
    for event in events:
        last = event.first if event.last is None else event.last
        span = (last - event.first).days
        if event.last is not None and 0 <= span < longest_days:
            found += [(date.fromordinal(event.first.toordinal() + day), event.name) for day in range(span + 1)]
    return found
