"""What the explanations share: names that are not there, exact shares, and charges as they lie in time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal

import duckdb

from farthing.build import runner
from farthing.console import Sheet
from farthing.errors import FarthingError

#: Pico-units are whole numbers; 38 digits are what a ledger column holds.
_PICO = 12
_EXACT = Context(prec=60)
_DAY = timedelta(days=1)
#: What the build takes for the end of a bill: of an API its last use, else its last charge of a day or less.
_BILL_ENDS = """
    with provisional as (
        select max(day) as last_day
        from pool_days
        where pool = $pool and provisional
    )
    select coalesce(ServiceProviderName, ProviderName) as provider, max(ChargePeriodEnd) as bill_until
    from charges
    where
        pool = $pool
        and case
            when pool_kind = 'api' then coalesce(ChargeCategory, 'Usage') = 'Usage'
            else ResourceId is not null and ChargePeriodEnd <= ChargePeriodStart + interval 1 day
        end
    group by all
    having max(ChargePeriodEnd) < (select last_day from provisional) + interval 1 day
    order by bill_until, provider
"""
ESTIMATED = "estimated: shared by the requests in flight, as no telemetry watched"


class NotFoundError(FarthingError):
    """Yours: the warehouse knows nothing by this name."""

    exit_code = 2

    def __init__(self, what: str, name: str, near: Sequence[str] = (), fix: str = "") -> None:
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"the warehouse has no {what} '{name}'.{hint}" + (f" {fix}" if fix else ""))


def near(con: duckdb.DuckDBPyConnection, name: str, query: str) -> list[str]:
    """Up to three of the names that `query` selects which look like `name`."""
    return difflib.get_close_matches(name, [str(row[0]) for row in con.execute(query).fetchall()], 3)


def pico(amount: Decimal) -> int:
    """An amount of at most twelve decimals in whole pico-units."""
    return int(amount.scaleb(_PICO, _EXACT))


def amount(pico_units: int) -> Decimal:
    """Whole pico-units as an amount."""
    return Decimal(pico_units).scaleb(-_PICO, _EXACT)


def shares(whole: int, weights: Sequence[int]) -> list[int]:
    """`whole` in proportion to `weights`; cumulative integer division, so that the parts add up to it exactly.

    Raises:
        ValueError: the weights add up to zero.
    """
    total = sum(weights)
    if not total:
        raise ValueError("the weights add up to zero")
    parts, before, cumulative = [], 0, 0
    for weight in weights:
        cumulative += weight
        until = whole * cumulative // total
        parts.append(until - before)
        before = until
    return parts


def horizon(con: duckdb.DuckDBPyConnection) -> datetime:
    """Up to when the warehouse's build spread the bill; what lies after it is accrued."""
    [(moment,)] = con.execute("select horizon from build_info").fetchall()
    found: datetime = moment
    return found


def bill_ends(con: duckdb.DuckDBPyConnection, pool: str) -> dict[str | None, datetime]:
    """Each provider whose bill for `pool` ends before the pool's provisional costs do, and when it ends.

    Empty where nothing of the pool is provisional, and where no bill ever named it.
    """
    return dict(con.execute(_BILL_ENDS, {"pool": pool}).fetchall())


def provisional_until(con: duckdb.DuckDBPyConnection, pools: Iterable[str]) -> tuple[dict[str, datetime], str]:
    """Of pools with provisional cost: from when on they have no bill, where they had one, and all of it in words."""
    since, words = {}, []
    for pool in pools:
        ends = bill_ends(con, pool)
        if ends:
            since[pool] = min(ends.values())
        words += [
            f"the bill of {provider or 'no provider'} for {pool} ends {end:%Y-%m-%d %H:%M} UTC"
            for provider, end in ends.items()
        ]
        words += [] if ends else [f"no bill has named these resources of {pool}{_priced(con, pool)}"]
    return since, f"provisional: no bill confirms it yet; {'; '.join(words)}" if words else ""


def _priced(con: duckdb.DuckDBPyConnection, pool: str) -> str:
    rows = con.execute("select distinct basis from provisional_charges where pool = ? order by 1", [pool]).fetchall()
    return f", so they are at {' or '.join(basis for (basis,) in rows)}" if rows else ""


def spread(whole: int, start: datetime, end: datetime, begin: datetime, until: datetime) -> int:
    """The part of a charge of `whole` pico-units from `start` to `end` that lies in [begin, until)."""
    length = _microseconds(end - start) or 1
    if end <= start:  # a charge without duration lies in the moment that it is dated with
        return whole if begin <= start < until else 0
    reached = [_microseconds(min(max(moment, start), end) - start) for moment in (begin, until)]
    return whole * reached[1] // length - whole * reached[0] // length


def days(start: datetime, end: datetime) -> list[date]:
    """The days that [start, end) touches; the day of `start` when it is empty."""
    last = max(end - timedelta(microseconds=1), start).date()
    return [start.date() + number * _DAY for number in range((last - start.date()).days + 1)]


def midnight(day: date) -> datetime:
    """The first moment of a day; naive UTC, as times in the warehouse are."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)


def name_people(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary view `identity_windows` on the warehouse by the build's own rule."""
    rule = runner.models("staging", "core")["identity_windows"].sql
    con.execute(f"create or replace temp view identity_windows as {rule.replace('lake.identities', 'main.identities')}")


def record(name: str, title: str, columns: Sequence[str], row: Sequence[object]) -> Sheet:
    """One row that is shown downwards, without what is missing."""
    present = [(column, value) for column, value in zip(columns, row, strict=True) if value is not None]
    return Sheet(name, [column for column, _ in present], [[value for _, value in present]], title=title, record=True)


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
