"""What a published company shows of its reporting currency: in the warehouse, in doctor, and in the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from farthing import config as configuration
from farthing.lake import Lake
from farthing.reports import monthly
from farthing.reports.document import Section
from farthing.warehouse import open_warehouse
from tests import exchange
from tests.farthing.build.world import DAY
from tests.farthing.commands import farthing

NOVEMBER = date(2026, 11, 1)
CONVERTED = "converted at the rates of each day (ecb), 1 Oct \N{EN DASH} 2 Oct 2026"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of October every currency has a rate, of November francs have none."""
    return exchange.publish(tmp_path_factory.mktemp("company"))


@pytest.fixture
def warehouse(project: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(configuration.load(project)) as con:
        yield con


def section(project: Path, month: date = DAY) -> Section:
    config = configuration.load(project)
    with open_warehouse(config) as con:
        [found] = [one for one in monthly(con, config, month).sections if one.name == "reporting_currency"]
    return found


def cost_checks(project: Path) -> dict[str, tuple[str, str]]:
    rows = farthing("doctor", "--json", "--project", project).value["checks"]
    return {row["subject"]: (row["status"], row["detail"]) for row in rows if row["area"] == "cost"}


@pytest.mark.slow
def test_the_warehouse_has_the_originals_and_beside_them_what_they_are_in_euros(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = warehouse.execute(
        "select day, pool, BillingCurrency, cost, rate, rate_day, reporting_cost from reporting_day order by all"
    ).fetchall()
    assert rows.pop() == (NOVEMBER, "serving", "CHF", 5, None, None, None)
    saturday, friday = date(2026, 10, 3), date(2026, 10, 2)
    assert rows == [
        (DAY, "lab", "USD", 100, Decimal("0.8"), DAY, 80),
        (DAY, "serving", "EUR", 7, 1, DAY, 7),
        (saturday, "serving", "USD", 16, Decimal("0.625"), friday, 10),
    ]
    [margin] = warehouse.execute(
        "select revenue, cogs_cost, rnd_cost, cost, gross_margin, operating_margin from reporting_margin_month"
        " where month = '2026-10-01'"
    ).fetchall()
    assert margin == (250, 17, 80, 97, 233, 153)
    assert warehouse.execute(
        "select team_id, sum(reporting_cost) from reporting_month where month = '2026-10-01' group by 1 order by 1"
    ).fetchall() == [
        ("product", 10),
        ("research", 80),
        (None, 7),
    ]


@pytest.mark.slow
def test_data_quality_says_how_much_of_each_currency_has_a_rate(project: Path) -> None:
    query = (
        "select subject, unit, sum(matched) as matched, sum(total) as total from data_quality"
        " where measure = 'with a rate to EUR' group by all order by all"
    )
    rows = farthing("query", query, "--json", "--project", project).value
    found = {f"{row['subject']} {row['unit']}": [Decimal(row["matched"]), Decimal(row["total"])] for row in rows}
    assert found == {"cost CHF": [0, 5], "cost USD": [116, 116], "revenue GBP": [40, 40]}


@pytest.mark.slow
def test_doctor_names_currency_days_and_amount_that_have_no_rate_until_they_come(project: Path, tmp_path: Path) -> None:
    found = cost_checks(project)
    assert "in EUR" not in found
    assert found["cost without a rate (CHF)"] == (
        "finding",
        "5.00 CHF are in no amount in EUR: 1 days, 2026-11-01 to 2026-11-01",
    )
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    exchange.quote(Lake(str(copy / "lake")), (date(2026, 10, 30), "CHF", "0.5"))
    assert exchange.world().build(copy, now=exchange.NOW).days_built == []  # rates are no part of the ledger
    found = cost_checks(copy)
    assert "cost without a rate (CHF)" not in found
    assert found["in EUR"] == ("ok", "every amount has a rate, the newest of 2026-10-30")
    assert section(copy, NOVEMBER).heading == "All currencies together, 10.00 EUR were spent"


def test_explaining_a_user_or_a_charge_shows_the_rate_and_the_day_that_it_is_of(project: Path) -> None:
    [user] = farthing("explain", "user", "ann", "--json", "--project", project).value["converted"]
    assert {name: user[name] for name in ("BillingCurrency", "first_rate_day", "last_rate_day")} == {
        "BillingCurrency": "USD",
        "first_rate_day": "2026-10-02",
        "last_rate_day": "2026-10-02",
    }
    numbers = [Decimal(user[name]) for name in ("cost", "lowest_rate", "highest_rate", "reporting_cost")]
    assert numbers == [16, Decimal("0.625"), Decimal("0.625"), 10]
    [day] = farthing("explain", "charge", "saturday", "--json", "--project", project).value["days"]
    assert (day["day"], day["rate_day"], day["derivation"]) == ("2026-10-03", "2026-10-02", "inverse")
    assert Decimal(day["reporting_rate"]) == Decimal("0.625")


def test_the_report_has_all_currencies_in_one_and_says_by_which_rates(project: Path) -> None:
    found = section(project)
    assert found.heading == "All currencies together, 97.00 EUR were spent"
    assert CONVERTED in found.said[0]
    assert found.said[1].startswith(
        "Revenue of all currencies is 250.00 EUR; less serving (cogs) 233.00 are left, 93.2 %."
    )
    [table] = found.tables
    assert [(row["BillingCurrency"], row["cost"], row["reporting_cost"]) for row in table.rows] == [
        ("USD", 116, 90),
        ("EUR", 7, 7),
    ]


def test_where_a_rate_is_missing_the_report_gives_no_total_and_says_what_lacks(project: Path) -> None:
    found = section(project, NOVEMBER)
    assert found.heading == "What was spent in EUR is not known: no rate for 5.00 CHF on 1 day"
    [table] = found.tables
    assert [(row["BillingCurrency"], row["reporting_cost"]) for row in table.rows] == [("CHF", None)]
