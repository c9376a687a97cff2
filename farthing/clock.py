"""The one clock of farthing, so that tests and `--as-of` can set it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_fixed: ContextVar[datetime | None] = ContextVar("farthing_clock", default=None)


def now() -> datetime:
    """The current time, zone-aware in UTC; the time given to `fixed` inside its block."""
    return _fixed.get() or datetime.now(UTC)


@contextmanager
def fixed(moment: datetime) -> Iterator[None]:
    """Hold the clock at `moment`, which must be zone-aware.

    Raises:
        ValueError: `moment` has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("the clock takes zone-aware times only")
    token = _fixed.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _fixed.reset(token)
