"""A month's requests as plain arrays, the dated prices that they meet, and which of them a lever is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from models.whatif.inputs import Floats, Part

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

#: Columns of `Log.tokens`; the second to fourth are parts of the first, the last of the fifth.
TOKENS = ("input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning")
_NO_LIMIT = 2**62
_MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Names:
    """A column of names: a code for each request, -1 where there is none, and the names by code."""

    codes: Ints
    names: Sequence[str]

    def among(self, patterns: Sequence[str]) -> Bools:
        """Which requests have a name that one of `patterns` (with `*` and `?`, any case) fits."""
        fits = [any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns) for name in self.names]
        found: Bools = np.array([*fits, False], dtype=bool)[self.codes]
        return found


@dataclass(frozen=True)
class Price:
    """One row of a price table: of one tier, days since 1970, minutes (UTC) and sizes of the whole input.

    Days and minutes are half open, tokens are over < input <= upto; `unit` are prices per token by the order of TOKENS,
    each of its own class of tokens; `request` is added for each.
    """

    tier: str
    day_from: int
    day_to: int
    minute_from: int
    minute_to: int
    tokens_over: int
    tokens_upto: int
    unit: tuple[float, float, float, float, float, float]
    request: float


@dataclass(frozen=True)
class Log:
    """The requests of a month in the order of their start; every array has one entry for each.

    `cost` is what it cost, of own GPUs its busy time (nan: not known); `price` is its price by the table (nan: none).
    `names` has model, provider, tier, customer, team, user, feature, environment, prompt, and pool. `prices` is the
    table of each code in `table` (-1: none). `hour` counts from the begin of the month; `counted` says whether tokens
    are known, `failed` whether no answer came, `cached` whether a gateway's cache gave it.
    """

    key: NDArray[np.uint64]
    started_us: Ints
    ended_us: Ints
    hour: Ints
    tokens: Ints
    cost: Floats
    price: Floats
    table: Ints
    prices: Sequence[Sequence[Price]]
    own: Bools
    counted: Bools
    failed: Bools
    cached: Bools
    names: Mapping[str, Names]

    def __len__(self) -> int:
        return len(self.key)


class Which(Part):
    """Which requests a lever is about: all that every given key fits; names may have `*` and `?`."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None

    def of(self, log: Log, *, with_cached: bool = False) -> Bools:
        """Those of `log`; what a gateway's cache has answered already only `with_cached`."""
        found: Bools = np.ones(len(log), dtype=bool) if with_cached else ~log.cached
        for key in ("models", "providers", "features", "environments", "customers", "teams"):
            if patterns := getattr(self, key):
                found = found & log.names[key.removesuffix("s")].among(patterns)
        if self.max_input_tokens is not None:
            found = found & (log.tokens[:, 0] <= self.max_input_tokens)
        if self.max_output_tokens is not None:
            found = found & (log.tokens[:, 4] <= self.max_output_tokens)
        return found


@dataclass(frozen=True)
class Quote:
    """The price row that each of some requests meets; nan where none does. It holds for over < input <= upto."""

    unit: Floats
    request: Floats
    over: Ints
    upto: Ints

    def price(self, tokens: Ints) -> Floats:
        """What they cost with `tokens`, in the currency of the table; each token is of one class."""
        read, cached, written, hour, output, reasoning = (tokens[:, column] for column in range(6))
        apart = (read - cached - written, cached, written - hour, hour, output - reasoning, reasoning)
        total: Floats = self.request.copy()
        for column, count in enumerate(apart):
            total += self.unit[:, column] * count
        return total


def quote(prices: Sequence[Price], log: Log, at: Ints, tokens: Ints) -> Quote:
    """Look up the row for each request `at`, if it had `tokens`."""
    count = len(at)
    unit, request = np.full((count, 6), np.nan, order="F"), np.full(count, np.nan)
    over, upto = np.full(count, -1), np.full(count, _NO_LIMIT)
    tiers = log.names["tier"]
    day = log.started_us[at] // _MICROSECONDS_A_DAY
    minute = log.started_us[at] % _MICROSECONDS_A_DAY // 60_000_000
    read = tokens[:, 0]
    for row in prices:
        tier = tiers.names.index(row.tier) if row.tier in tiers.names else -2
        meets = (tiers.codes[at] == tier) & (day >= row.day_from) & (day < row.day_to)
        meets &= (minute >= row.minute_from) & (minute < row.minute_to)
        meets &= (read > row.tokens_over) & (read <= row.tokens_upto) & log.counted[at]
        unit[meets], request[meets] = row.unit, row.request
        over[meets], upto[meets] = row.tokens_over, row.tokens_upto
    return Quote(unit, request, over, upto)


def own_quote(log: Log, at: Ints, tokens: Ints) -> Quote:
    """As `quote`, each request by the table of the model that answered it."""
    count = len(at)
    unit = np.full((count, 6), np.nan, order="F")
    found = Quote(unit, np.full(count, np.nan), np.full(count, -1), np.full(count, _NO_LIMIT))
    for table in np.unique(log.table[at]):
        if table < 0:
            continue
        here = np.flatnonzero(log.table[at] == table)
        part = quote(log.prices[table], log, at[here], tokens[here])
        for whole, piece in zip(
            (found.unit, found.request, found.over, found.upto),
            (part.unit, part.request, part.over, part.upto),
            strict=True,
        ):
            whole[here] = piece
    return found
