"""One reporting currency beside the originals: which rate a day takes, what it makes of a cost, and what has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farthing.build import runner
from farthing.build.settings import CONVERTED_MACRO, MONEY_MACRO, RATE_MACRO
from tests.farthing.build.world import DAY

MARTS = (
    *("reporting_rates", "reporting_day", "reporting_month", "reporting_margin_month"),
    "reporting_customer_margin_month",
)
THURSDAY, FRIDAY, SATURDAY, MONDAY = DAY, date(2026, 10, 2), date(2026, 10, 3), date(2026, 10, 5)
#: Units of a currency for one euro, as the ECB says it: day, currency, rate.
ECB = [
    (THURSDAY, "USD", "1.25"),
    (FRIDAY, "USD", "1.6"),
    (MONDAY, "USD", "1.28"),
    (THURSDAY, "JPY", "160"),
    (FRIDAY, "JPY", "150"),
]

Quote = tuple[date, str, str, str]  # day, currency, base, rate


def ecb(rows: Iterable[tuple[date, str, str]] = ECB) -> list[Quote]:
    return [(day, currency, "EUR", rate) for day, currency, rate in rows]


class Marts:
    """The marts of the reporting currency on hand-made tables, without a lake or a build."""

    def __init__(self, quotes: Iterable[Quote], reporting: str | None = "EUR", age: int = 10) -> None:
        self.made = False
        self.con = duckdb.connect(config={"threads": 1})
        for macro in (MONEY_MACRO, RATE_MACRO, CONVERTED_MACRO):
            self.con.execute(macro)
        self.con.execute(
            "create table cost_ledger (day date, pool varchar, team_id varchar, customer_id varchar,"
            " BillingCurrency varchar, cost decimal(38, 12), provisional boolean)"
        )
        self.con.execute(
            "create table revenue (customer_id varchar, plan varchar, period date, amount decimal(38, 12),"
            " currency varchar)"
        )
        self.con.execute(
            "create table exchange_rates (day date, currency varchar, base varchar, rate decimal(38, 24),"
            " x_source varchar, x_load varchar)"
        )
        self.con.execute("create table reporting (reporting_currency varchar, maximum_rate_age_days bigint)")
        self.con.execute("create table pools as select 'serving' as pool, 'cogs' as class")
        self.con.execute("insert into pools values ('lab', 'rnd')")
        if reporting:
            self.con.execute("insert into reporting values (?, ?)", [reporting, age])
        for day, currency, base, rate in quotes:
            self.con.execute(
                "insert into exchange_rates values (?, ?, ?, ?, 'ecb', 'hist.csv')",
                [day, currency, base, Decimal(rate)],
            )

    def cost(
        self,
        cost: Decimal | int | str,
        currency: str = "USD",
        day: date = THURSDAY,
        *,
        pool: str = "serving",
        customer: str | None = "acme",
    ) -> None:
        self.con.execute(
            "insert into cost_ledger values (?, ?, 'red', ?, ?, ?, false)",
            [day, pool, customer, currency, Decimal(cost)],
        )

    def paid(self, amount: int | str, currency: str, customer: str = "acme", period: date = DAY) -> None:
        self.con.execute(
            "insert into revenue values (?, 'pro', ?, ?, ?)", [customer, period, Decimal(amount), currency]
        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the marts, which are made, and checked, when they are first asked for."""
        if not self.made:
            runner.run(self.con, _models(), MARTS)
            runner.check(self.con, _models(), ["reporting_leaves_no_line_out"])
            self.made = True
        return self.con.execute(query).fetchall()

    def rates(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        rows = self.ask("select day, currency, rate, rate_day, derivation, through from reporting_rates order by all")
        return {(day.isoformat(), currency): tuple(rest) for day, currency, *rest in rows}


@cache
def _models() -> dict[str, runner.Model]:
    texts = runner.texts("marts", "checks/warehouse")
    named = {Path(name).stem: text for name, text in texts.items()}
    found = {name: runner.parse(named[name], name=name, file=name) for name in (*MARTS, "reporting_leaves_no_line_out")}
    return {name: replace(model, reads=model.reads & found.keys()) for name, model in found.items()}


def test_a_day_takes_the_rate_of_the_last_published_day_so_that_weekends_have_one() -> None:
    marts = Marts(ecb())
    for day in (THURSDAY, FRIDAY, SATURDAY, SATURDAY + timedelta(days=1), MONDAY):
        marts.cost(1, day=day)
    assert marts.rates() == {
        ("2026-10-01", "USD"): (Decimal("0.8"), THURSDAY, "inverse", None),
        ("2026-10-02", "USD"): (Decimal("0.625"), FRIDAY, "inverse", None),
        ("2026-10-03", "USD"): (Decimal("0.625"), FRIDAY, "inverse", None),
        ("2026-10-04", "USD"): (Decimal("0.625"), FRIDAY, "inverse", None),
        ("2026-10-05", "USD"): (Decimal("0.78125"), MONDAY, "inverse", None),
    }


def test_a_rate_is_direct_inverse_or_a_cross_of_two_rates_of_one_day_and_says_where_it_is_from() -> None:
    marts = Marts([*ecb(), (THURSDAY, "USD", "CHF", "1.1")], reporting="USD")
    for currency in ("USD", "EUR", "JPY", "CHF"):
        marts.cost(1, currency)
    marts.cost(1, "JPY", MONDAY)  # of Monday only the dollar is there: the cross is Friday's
    assert marts.rates() == {
        ("2026-10-01", "USD"): (1, THURSDAY, "same", None),
        ("2026-10-01", "EUR"): (Decimal("1.25"), THURSDAY, "direct", None),
        ("2026-10-01", "JPY"): (Decimal("1.25") / 160, THURSDAY, "cross", "EUR"),
        ("2026-10-01", "CHF"): (Decimal("1.1"), THURSDAY, "direct", None),
        ("2026-10-05", "JPY"): (Decimal("0.010666666666666667"), FRIDAY, "cross", "EUR"),
    }
    assert marts.ask("select distinct rate_source, rate_file from reporting_rates where currency <> 'USD'") == [
        ("ecb", "hist.csv")
    ]


def test_of_the_rates_of_one_day_the_direct_one_comes_first_and_a_newer_day_before_it() -> None:
    quotes = [(THURSDAY, "EUR", "USD", "0.9"), (THURSDAY, "USD", "EUR", "1.25"), (FRIDAY, "USD", "EUR", "1.6")]
    marts = Marts(quotes)
    marts.cost(1)
    marts.cost(1, day=FRIDAY)
    assert marts.rates() == {
        ("2026-10-01", "USD"): (Decimal("0.9"), THURSDAY, "direct", None),
        ("2026-10-02", "USD"): (Decimal("0.625"), FRIDAY, "inverse", None),
    }


def test_a_rate_older_than_the_maximum_age_or_still_to_come_is_none() -> None:
    marts = Marts(ecb([(THURSDAY, "USD", "1.25"), (FRIDAY, "GBP", "0.9")]), age=3)
    for day in (THURSDAY - timedelta(days=1), date(2026, 10, 4), MONDAY):
        marts.cost(1, day=day)
    marts.cost(1, "GBP")
    none = (None, None, None, None)
    assert marts.rates() == {
        ("2026-09-30", "USD"): none,
        ("2026-10-04", "USD"): (Decimal("0.8"), THURSDAY, "inverse", None),
        ("2026-10-05", "USD"): none,
        ("2026-10-01", "GBP"): none,
    }


def test_a_currency_without_a_rate_keeps_its_lines_and_has_no_reporting_amount_nor_is_it_one() -> None:
    marts = Marts(ecb())
    marts.cost(10)
    marts.cost(7, "CHF")
    marts.cost(5, "CHF", FRIDAY, pool="lab")
    rows = marts.ask("select BillingCurrency, pool, cost, rate, reporting_cost from reporting_day order by all")
    assert rows == [
        ("CHF", "lab", 5, None, None),
        ("CHF", "serving", 7, None, None),
        ("USD", "serving", 10, Decimal("0.8"), 8),
    ]
    assert marts.ask(
        "select BillingCurrency, pool, unconverted_cost, reporting_cost from reporting_month order by all"
    ) == [("CHF", "lab", 5, None), ("CHF", "serving", 7, None), ("USD", "serving", None, 8)]
    [margin] = marts.ask("select cogs_cost, rnd_cost, opex_cost, cost, without_rate from reporting_margin_month")
    assert margin == (None, None, None, None, "CHF")


def test_one_day_without_a_rate_leaves_the_month_without_an_amount_and_says_how_much_lacks() -> None:
    marts = Marts(ecb())
    marts.cost(10)
    marts.cost(3, day=THURSDAY - timedelta(days=1))
    marts.cost(4, day=date(2026, 10, 31))
    rows = marts.ask(
        "select month, cost, unconverted_cost, lowest_rate, highest_rate, first_rate_day, last_rate_day,"
        " reporting_cost from reporting_month order by all"
    )
    rate = Decimal("0.8")
    assert rows == [
        (date(2026, 9, 1), 3, 3, None, None, None, None, None),
        (DAY, 14, 4, rate, rate, THURSDAY, THURSDAY, None),
    ]


def test_margin_takes_revenue_by_the_rate_of_its_period_and_each_cost_by_that_of_its_day() -> None:
    marts = Marts(ecb())
    marts.paid(100, "EUR")
    marts.paid(50, "USD")  # 40
    marts.paid(5, "EUR", "bolt")
    marts.cost(10, "USD")  # 8
    marts.cost(16, "USD", FRIDAY)  # 10
    marts.cost(3, "EUR", FRIDAY)
    marts.cost(320, "JPY", pool="lab", customer=None)  # 2
    marts.cost(1, "EUR", pool="nobody's", customer=None)
    [margin] = marts.ask(
        "select month, reporting_currency, revenue, cogs_cost, rnd_cost, opex_cost, unassigned_cost, cost,"
        " gross_margin, operating_margin, first_rate_day, last_rate_day, without_rate from reporting_margin_month"
    )
    assert margin == (DAY, "EUR", 145, 21, 2, None, 1, 24, 124, 121, THURSDAY, FRIDAY, None)
    assert marts.ask(
        "select customer_id, revenue, cogs_cost, margin from reporting_customer_margin_month order by 1"
    ) == [
        ("acme", 140, 21, 119),
        ("bolt", 5, None, 5),
    ]


def test_without_a_reporting_currency_nothing_is_converted() -> None:
    marts = Marts(ecb(), reporting=None)
    marts.cost(10)
    marts.paid(100, "EUR")
    for mart in MARTS:
        assert marts.ask(f"from {mart}") == []


#: The rate as a number of units, or of parts, so that both ends of what a rate may be are met.
_RATES = st.one_of(
    st.integers(1, 10**8).map(Decimal),
    st.integers(10**10, 10**26).map(lambda units: Decimal(units).scaleb(-18)),
    st.integers(1, 10**7).map(lambda units: Decimal(units).scaleb(-4)),
)
_AMOUNTS = st.one_of(
    st.integers(-(10**24), 10**24).map(lambda pico: Decimal(pico).scaleb(-12)),
    st.integers(-(10**8), 10**8).map(lambda cents: Decimal(cents).scaleb(-2)),
)


def _rounded(value: Fraction, places: int) -> Decimal:
    """Half away from zero, by other means than the SQL."""
    scaled = abs(value) * 10**places
    whole = scaled.numerator // scaled.denominator
    whole += 2 * (scaled - whole) >= 1
    return Decimal(whole if value >= 0 else -whole).scaleb(-places)


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        for macro in (MONEY_MACRO, RATE_MACRO, CONVERTED_MACRO):
            con.execute(macro)
        yield con


@given(amount=_AMOUNTS, rate=_RATES)
@example(amount=Decimal("0.000000000001"), rate=Decimal("0.5"))  # half a pico-unit goes away from zero
@example(amount=Decimal("-0.000000000003"), rate=Decimal("0.5"))
@example(amount=Decimal("0.000000000001"), rate=Decimal("0.499999999999999999"))
def test_an_amount_by_a_rate_is_the_exact_product_rounded_once(
    macros: duckdb.DuckDBPyConnection, amount: Decimal, rate: Decimal
) -> None:
    [(found,)] = macros.execute(
        "select converted(cast(? as decimal(38, 12)), cast(? as decimal(38, 18)))", [str(amount), str(rate)]
    ).fetchall()
    assert found == _rounded(Fraction(amount) * Fraction(rate), 12)


@settings(max_examples=10)
@given(
    costs=st.lists(
        st.tuples(_AMOUNTS, st.sampled_from(["USD", "EUR", "JPY", "CHF"]), st.integers(0, 9)), min_size=1, max_size=20
    ),
    usd=_RATES,
    jpy=_RATES,
    reporting=st.sampled_from(["EUR", "USD", "GBP"]),
)
def test_the_converted_total_is_the_sum_of_converted_lines_and_the_originals_stay(
    costs: list[tuple[Decimal, str, int]], usd: Decimal, jpy: Decimal, reporting: str
) -> None:
    marts = Marts(ecb([(THURSDAY, "USD", str(usd)), (MONDAY, "JPY", str(jpy))]), reporting=reporting, age=5)
    for cost, currency, day in costs:
        marts.cost(cost, currency, THURSDAY + timedelta(days=day))
    rates = {key: rate for key, (rate, *_) in marts.rates().items()}  # also: the check of the warehouse holds
    expected: dict[str, Decimal | None] = {}
    for cost, currency, day in costs:
        rate = rates[(THURSDAY + timedelta(days=day)).isoformat(), currency]
        one = None if rate is None else _rounded(Fraction(cost) * Fraction(rate), 12)
        before = expected.get(currency, Decimal(0))
        expected[currency] = None if one is None or before is None else before + one
    found = marts.ask(
        "select BillingCurrency, case when count(*) = count(reporting_cost) then sum(reporting_cost) end"
        " from reporting_day group by all"
    )
    assert dict(found) == expected
    assert marts.ask("select BillingCurrency, sum(cost) from reporting_month group by all order by 1") == marts.ask(
        "select BillingCurrency, sum(cost) from cost_ledger group by all order by 1"
    )


@settings(max_examples=5)
@given(pairs=st.lists(st.tuples(_RATES, _RATES), min_size=30, max_size=60))
def test_a_cross_rate_is_the_exact_quotient_rounded_once(pairs: list[tuple[Decimal, Decimal]]) -> None:
    days = [THURSDAY + timedelta(days=number) for number in range(len(pairs))]
    quotes = [
        (day, code, str(rate))
        for day, pair in zip(days, pairs, strict=True)
        for code, rate in zip(("USD", "JPY"), pair, strict=True)
    ]
    marts = Marts(ecb(quotes), reporting="USD", age=0)
    for day in days:
        marts.cost(1, "JPY", day)
    found = [rate for rate, *_ in marts.rates().values()]
    exact = [_rounded(Fraction(above) / Fraction(below), 18) for above, below in pairs]
    assert found == [rate if Decimal("0.00000001") <= rate <= 10**8 else None for rate in exact]
