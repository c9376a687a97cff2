"""The walk from invoice to ledger: each cause planted and worked out by hand, and sums that hold for any bill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from farthing.build import runner, settings
from farthing.build.publish import _CHARGES as PUBLISHED_CHARGES
from farthing.lake import Lake
from farthing.lake.schemas import INVOICES, REJECTS
from tests.farthing.build.world import DAY, LATER, World, at

ALL = {"name": "all", "kind": "shared"}
NOVEMBER, SEPTEMBER = date(2026, 11, 1), date(2026, 9, 1)
USED: dict[str, Any] = {"BilledCost": Decimal(0), "CommitmentDiscountStatus": "Used", "CommitmentDiscountId": "plan"}
PACIFIC: dict[str, Any] = {
    "x_source": "google",
    "ProviderName": "Google Cloud",
    "InvoiceIssuerName": "Google Cloud",
    "InvoiceId": "202610",
    "BillingAccountId": "01AAAA",
    "BillingPeriodStart": datetime(2026, 10, 1, 7, tzinfo=UTC),
    "BillingPeriodEnd": datetime(2026, 11, 1, 7, tzinfo=UTC),
}


def every_cause() -> World:
    """October of AWS and Google Cloud; what differs between invoice and ledger is one of each kind."""
    world = World(ALL, sources={"google": {"kind": "focus", "path": "*"}})
    aws: dict[str, Any] = {"BillingAccountId": "payer", "SubAccountId": "a", "InvoiceIssuerName": "AWS"}
    world.charge(10, **aws)
    world.charge(4, **aws, BilledCost=Decimal(5))
    world.charge(0, **aws, BilledCost=Decimal(90), ChargeCategory="Purchase")
    world.charge(60, **aws, **USED)
    world.charge(30, **aws, **USED | {"CommitmentDiscountStatus": "Unused"})
    world.charge(18, **aws, BilledCost=Decimal(19), ChargeCategory="Tax")
    world.charge(-7, **aws, ChargeCategory="Credit")
    world.charge(3, **aws | {"InvoiceIssuerName": "A Seller"}, BilledCost=Decimal(0))
    world.charge(2, **aws, PricingCurrency="EUR")
    world.charge(1, **aws, x_BilledCostRounding=Decimal("0.0000000000004"))
    world.charge(4, at(day=45), at(day=47), **aws)  # support from 14 to 16 November; the clock says 15
    world.charge(6, at("12:00", day=0), at("18:00", day=0), **aws)  # used on 30 September
    world.charge(8, at(day=32), at("04:00", day=32), **PACIFIC)  # 31 October in California
    world.charge(9, at(day=32), at("10:00", day=32), **PACIFIC)  # three of its ten hours are November there too
    return world


REJECTED: dict[str, str] = {
    "billing_month": "2026-10-01",
    "BillingCurrency": "USD",
    "BilledCost": "1.500000000000",
    "x_BilledCostRounding": "0.000000000000000000000001",
    "BillingAccountId": "payer",
    "SubAccountId": "a",
    "InvoiceId": "I",
    "ProviderName": "AWS",
}


AWS_PAPER: dict[str, Any] = {
    "x_source": "paper",
    "provider": "aws",
    "account": "payer",
    "month": DAY,
    "currency": "USD",
}
GOOGLE_PAPER = AWS_PAPER | {"provider": "Google Cloud", "account": "01AAAA"}
PAPERS: list[dict[str, Any]] = [
    AWS_PAPER | {"amount": Decimal("131.50")},
    AWS_PAPER | {"InvoiceId": "I", "amount": Decimal("112.50")},  # without the tax of 19
    AWS_PAPER | {"account": "a", "amount": Decimal("138.50")},  # without the credit of 7
    AWS_PAPER | {"account": None, "amount": Decimal("119.50")},  # without both
    AWS_PAPER | {"provider": "Lambda", "amount": Decimal(5)},  # no bill has come
    GOOGLE_PAPER | {"amount": Decimal("20.23"), "tax": Decimal("3.23")},
    GOOGLE_PAPER | {"account": None, "amount": Decimal(17)},
    GOOGLE_PAPER | {"InvoiceId": "202610", "amount": Decimal(25)},
    GOOGLE_PAPER | {"currency": "EUR", "amount": Decimal(15)},
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world of every cause, built and published."""
    folder = tmp_path_factory.mktemp("causes")
    lake = Lake(str(folder / "lake"))
    world = every_cause()
    world.land(lake)
    rows: list[dict[str, Any]] = []
    rows.append({"table": "charges", "reason": "no such category", "x_source": "bill", "said": json.dumps(REJECTED)})
    rows.append({"table": "charges", "reason": "no JSON", "x_source": "bill", "said": None})
    lake.append(REJECTS, pa.Table.from_pylist(rows, schema=REJECTS.schema), load="rejects")
    lake.append(INVOICES, pa.Table.from_pylist(PAPERS, schema=INVOICES.schema), load="papers")
    return Path(world.build(folder).warehouse)


@pytest.fixture
def con(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published warehouse."""
    with duckdb.connect(str(warehouse), read_only=True) as found:
        yield found


def walk(con: duckdb.DuckDBPyConnection, source: str | None, month: date, billed: date | None = DAY) -> dict[str, Any]:
    """Cause -> amount of one source, calendar month and invoice month."""
    rows = con.execute(
        "select cause, sum(amount) from reconciliation_causes where x_source is not distinct from ? and month = ?"
        " and billing_month is not distinct from ? group by all order by min(position)",
        [source, month, billed],
    ).fetchall()
    return dict(rows)


def test_every_cause_stands_on_a_line_of_its_own_with_its_amount(con: duckdb.DuckDBPyConnection) -> None:
    assert walk(con, "bill", DAY) == {
        "bill": Decimal("131.500000000000400000000001"),
        "rejects": Decimal("-1.500000000000000000000001"),
        "rounding": Decimal("-0.0000000000004"),
        "cost column": -1,
        "prepayment": -90,
        "commitment used": 60,
        "commitment unused": 30,
        "tax": -1,
        "credit": 0,
        "marketplace issuer": 3,
        "pricing currency": 0,
        "accrued": -2,
        "invoice month": -8,
        "ledger": 121,
    }
    spoken_of = con.execute(
        "select cause, charges, attributed_cost from reconciliation_causes"
        " where month = ? and cause in ('tax', 'credit', 'pricing currency', 'rejects') order by position",
        [DAY],
    ).fetchall()
    assert spoken_of == [("rejects", 1, None), ("tax", 1, 18), ("credit", 1, -7), ("pricing currency", 1, 2)]


def test_hours_of_a_providers_own_time_zone_are_told_from_those_of_another_month(
    con: duckdb.DuckDBPyConnection,
) -> None:
    gone = {"time zone": Decimal("-14.3"), "invoice month": Decimal("-2.7")}  # 8 + 7 of 10 hours of 9, and the other 3
    assert walk(con, "google", DAY) == {"bill": 17, **gone, "ledger": 0}
    assert walk(con, "google", NOVEMBER) == {cause: -amount for cause, amount in gone.items()} | {"ledger": 17}


def test_what_an_invoice_has_of_other_months_comes_back_in_their_walks(con: duckdb.DuckDBPyConnection) -> None:
    assert walk(con, "bill", SEPTEMBER) == {"invoice month": 6, "ledger": 6}
    assert walk(con, "bill", NOVEMBER) == {"invoice month": 2, "ledger": 2}
    ledger = "select date_trunc('month', day)::date, sum(cost) from cost_ledger group by 1 order by 1"
    ends = "select month, sum(amount) from reconciliation_causes where kind = 'ledger' group by 1 order by 1"
    assert (
        con.execute(ledger).fetchall() == con.execute(ends).fetchall() == [(SEPTEMBER, 6), (DAY, 121), (NOVEMBER, 19)]
    )


def test_an_invoice_on_paper_differs_by_a_cause_or_leaves_a_residual(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        "select provider, account, InvoiceId, currency, difference, cause, residual from invoice_totals order by all"
    ).fetchall()
    cents = Decimal("0.000000000000400000000001")  # what 131.50 on paper lacks
    assert rows == [
        ("Google Cloud", "01AAAA", "202610", "USD", 8, "residual", 8),
        ("Google Cloud", "01AAAA", None, "EUR", 15, "currency", None),
        ("Google Cloud", "01AAAA", None, "USD", Decimal("3.23"), "tax", 0),
        ("Google Cloud", None, None, "USD", 0, None, 0),
        ("Lambda", "payer", None, "USD", 5, "residual", 5),
        ("aws", "a", None, "USD", 7 - cents, "credit", 0),
        ("aws", "payer", "I", "USD", -19 - cents, "tax", 0),
        ("aws", "payer", None, "USD", -cents, "rounding", 0),
        ("aws", None, None, "USD", -12 - cents, "tax, credit", 0),
    ]


def test_a_ledger_that_is_not_what_was_billed_leaves_a_residual(warehouse: Path, tmp_path: Path) -> None:
    copy = shutil.copy(warehouse, tmp_path / "copy.duckdb")
    with duckdb.connect(str(copy)) as con:
        con.execute("update cost_ledger set cost = cost + 0.000001 where day = date '2026-10-01'")
        found = runner.models("marts", "checks/warehouse", known=_tables(con))
        runner.run(con, found, ["reconciliation_causes"])
        assert walk(con, "bill", DAY)["residual"] == -121
        breaches = con.execute(found["walks_end_at_the_ledger"].sql).fetchall()
        assert [row[-2:] for row in breaches] == [(0, Decimal("121.000001"))]


def _tables(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    marts = {name.partition("/")[2].removesuffix(".sql") for name in runner.texts("marts")}
    rows = con.execute("select table_name from duckdb_tables()").fetchall()
    return frozenset(name for (name,) in rows) - marts


# -- any bill ---------------------------------------------------------------------------------------------------

_HOUR = timedelta(hours=1)
_AMOUNTS = st.decimals("-1000", "1000", places=12)
_CHARGES = st.fixed_dictionaries(
    {
        "cost": _AMOUNTS,
        "billed": _AMOUNTS,
        "start": st.integers(-40 * 24, 60 * 24),
        "hours": st.integers(0, 1000),
        "SubAccountId": st.sampled_from(["a", "b", None]),
        "InvoiceId": st.sampled_from(["I", "J", None]),
        "ChargeCategory": st.sampled_from(["Usage", "Purchase", "Tax", "Credit"]),
        "CommitmentDiscountStatus": st.sampled_from([None, "Used", "Unused"]),
        "currency": st.sampled_from(["USD", "EUR"]),
        "rounding": st.decimals("-0.0000000000005", "0.0000000000005", places=24),
    }
)


def _world(charges: list[dict[str, Any]]) -> World:
    world = World(ALL)
    for one in charges:
        start = at() + one["start"] * _HOUR
        world.charge(
            one["cost"],
            start,
            start + one["hours"] * _HOUR,
            currency=one["currency"],
            invoice=one["InvoiceId"],
            BilledCost=one["billed"],
            x_BilledCostRounding=one["rounding"],
            **{name: one[name] for name in ("SubAccountId", "ChargeCategory", "CommitmentDiscountStatus")},
        )
    return world


def _marts(world: World) -> duckdb.DuckDBPyConnection:
    """The walk of `world`, whose ledger is what was billed: no day is computed."""
    con = world.bill()
    con.execute("attach ':memory:' as published")
    con.execute(f"create table published.charges as {PUBLISHED_CHARGES}")
    con.execute("create table published.pool_days as select * exclude (pico), money(pico) as cost from pool_days")
    con.execute("create table published.cost_ledger as select * from published.pool_days")
    con.execute("create table published.rejects (x_source varchar, said varchar)")
    con.execute("create table published.build_info as select make_timestamp(horizon_us) as horizon from settings.build")
    con.execute("use published.main")
    con.execute(settings.MONEY_MACRO)
    found = runner.models("marts", "checks/warehouse", known=_EVERY_TABLE)
    runner.run(con, found, ["reconciliation_causes"])
    runner.check(con, found, ["walks_end_at_the_ledger"])
    return con


_EVERY_TABLE = frozenset(
    table
    for model in (
        runner.parse(text, name=name, file=name) for name, text in runner.texts("marts", "checks/warehouse").items()
    )
    for table in model.reads
) - {name.partition("/")[2].removesuffix(".sql") for name in runner.texts("marts")}


@given_settings(max_examples=15)  # each is a bill of its own, read and walked
@given(st.lists(_CHARGES, min_size=1, max_size=20))
def test_the_steps_of_any_bill_add_up_exactly_and_leave_nothing_unsaid(charges: list[dict[str, Any]]) -> None:
    with _marts(_world(charges)) as con:
        for month, source, account, invoice, currency, walked, ended in con.execute(
            "select month, x_source, SubAccountId, InvoiceId, BillingCurrency, sum(amount) filter (kind <> 'ledger'),"
            " sum(amount) filter (kind = 'ledger') from reconciliation_causes group by all"
        ).fetchall():
            assert walked == ended, (month, source, account, invoice, currency)
            mine = [
                one
                for one in charges
                if (one["SubAccountId"], one["InvoiceId"], one["currency"]) == (account, invoice, currency)
            ]
            # each cut of a charge takes less than a pico-unit, and each span of them one more
            assert abs(Fraction(ended) - sum(_in_month(one, month) for one in mine)) <= Fraction(
                8 * len(charges), 10**12
            )
        bills = con.execute(
            "select BillingCurrency, sum(amount) from reconciliation_causes where kind = 'bill' group by all"
        ).fetchall()
        for currency, amount in bills:
            assert amount == sum(one["billed"] + one["rounding"] for one in charges if one["currency"] == currency)
        assert con.execute("from reconciliation_causes where cause = 'residual'").fetchall() == []


def _in_month(charge: dict[str, Any], month: date) -> Fraction:
    """What a charge costs in a calendar month, spread evenly over its period, without any rounding."""
    start = at() + charge["start"] * _HOUR
    end = max(start + charge["hours"] * _HOUR, start + timedelta(microseconds=1))
    begin = datetime(month.year, month.month, 1, tzinfo=UTC)
    after = (begin + timedelta(days=31)).replace(day=1)
    inside = max(min(end, after, LATER) - max(start, begin), timedelta())
    return (
        Fraction(charge["cost"])
        * Fraction(inside / timedelta(microseconds=1))
        / Fraction((end - start) / timedelta(microseconds=1))
    )
