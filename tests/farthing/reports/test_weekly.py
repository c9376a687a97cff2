"""The weekly report, and the sections on what is to come, held against the warehouse that they read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from farthing import config as configuration
from farthing import issued
from farthing.lake import Lake
from farthing.lake.issued import BUDGET_STATUS, EPISODES, FORECASTS, LANDINGS
from farthing.reports import NoSuchPeriodError, weekly
from farthing.reports.document import Report, Section
from farthing.reports.page import page
from farthing.warehouse import open_warehouse
from tests.farthing.commands import farthing

_AS_OF = date(2026, 10, 20)
_NOW = datetime(2026, 10, 21, tzinfo=UTC)


def _section(report: Report, name: str) -> Section:
    [found] = [section for section in report.sections if section.name == name]
    return found


def test_a_week_is_monday_to_sunday_and_its_spend_is_the_ledgers(
    project: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    report = weekly(warehouse, configuration.load(project), date(2026, 10, 20))
    assert (report.period, report.first, report.last) == ("2026-W43", date(2026, 10, 19), date(2026, 10, 25))
    [(cost,)] = warehouse.execute(
        "select sum(cost) from cost_ledger where BillingCurrency = 'USD' and day between ? and ?",
        [report.first, report.last],
    ).fetchall()
    [spend] = [figure for figure in _section(report, "headline").figures if figure.name == "spend"]
    assert spend.value == cost > 0


def test_units_of_a_week_are_those_of_its_days_and_not_of_its_month(
    project: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    report = weekly(warehouse, configuration.load(project), date(2026, 10, 20))
    [table] = _section(report, "units").tables
    units = {row["unit"]: row for row in table.rows}
    assert units["ticket"]["quantity"] == 28, "the metric of 20 October alone"
    [(serving,)] = warehouse.execute(
        "select sum(cost) from cost_ledger inner join pools using (pool)"
        " where class = 'cogs' and BillingCurrency = 'USD' and day between date '2026-10-19' and date '2026-10-25'"
    ).fetchall()
    assert units["ticket"]["cost_per_unit"] * 28 == pytest.approx(serving)


def test_the_last_week_that_is_over_is_the_default_and_a_week_without_cost_is_named(
    project: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    config = configuration.load(project)
    report = weekly(warehouse, config)
    assert report.period == "2026-W44"
    with pytest.raises(NoSuchPeriodError, match=r"no cost in 2026-W20\. Fix: choose a week that it has: 2026-W36 to"):
        weekly(warehouse, config, date(2026, 5, 12))


@pytest.fixture
def foreseen(project: Path, tmp_path: Path) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
    """The company with a forecast, two budgets and two anomalies in its warehouse."""
    folder = Path(shutil.copytree(project, tmp_path / "company"))
    config = configuration.load(folder)
    lake = Lake(config.lake_path)
    scope = {"dimension": "total", "BillingCurrency": "USD"}
    for issue, issued_at, forecast in (("old", datetime(2026, 10, 1, tzinfo=UTC), 9.0), ("new", _NOW, 50.25)):
        made = {"issue_id": issue, "issued_at": issued_at, "as_of": _AS_OF, **scope, "forecast": forecast}
        landing = {"month": date(2026, 10, 1), "actual": Decimal("40.1"), "q10": 45.0, "q90": 60.0}
        issued.add(lake, LANDINGS, [{**made, **landing}])
        issued.add(lake, FORECASTS, [{**made, "day": date(2026, 10, 21), "q10": 1.0, "q90": 3.0}])
    status = {**scope, "period_start": date(2026, 10, 1), "period_end": date(2026, 10, 31)}
    amounts = {"amount": Decimal(100), "actual": Decimal(110)}
    issued.add(
        lake,
        BUDGET_STATUS,
        [
            {"budget": "all", "as_of": date(2026, 10, 19), **status, **amounts, "actual": Decimal(90)},
            {"budget": "all", "as_of": _AS_OF, **status, **amounts, "basis": "actual", "threshold": 1.0},
            {"budget": "calm", "as_of": _AS_OF, **status, "amount": Decimal(900), "actual": Decimal(9)},
        ],
    )
    episode = {**scope, "first_day": date(2026, 10, 20), "last_day": date(2026, 10, 20), "rule": "spend"}
    cause = '[{"slice": {"team": "search", "model": "m"}}]'
    issued.put(
        lake,
        EPISODES,
        [
            {"episode_id": "1", **episode, "state": "open", "level": "page", "impact": 12.5, "title": "Spend doubled"}
            | {"cause": cause},
            {"episode_id": "2", **episode, "state": "open", "level": "detail", "impact": 99.0, "title": "A leaf"},
            {"episode_id": "3", **episode, "state": "false", "level": "page", "impact": 99.0, "title": "A mistake"},
        ],
    )
    issued.publish(config, lake, print)
    with open_warehouse(config) as con:
        yield folder, con


@pytest.mark.slow
def test_the_newest_forecast_says_where_the_month_lands(foreseen: tuple[Path, duckdb.DuckDBPyConnection]) -> None:
    folder, con = foreseen
    report = weekly(con, configuration.load(folder), _AS_OF)
    heading = _section(report, "landing").heading
    assert heading == "October is expected to land at 50.25 USD, between 45.00 and 60.00 with a chance of 80 %"
    assert "<svg" in page(report)


@pytest.mark.slow
def test_both_reports_are_written_by_their_command_with_the_picture_of_what_was_foreseen(
    foreseen: tuple[Path, duckdb.DuckDBPyConnection],
) -> None:
    folder, _ = foreseen
    for period in (("monthly", "--month", "2026-10"), ("weekly", "--week", "2026-10-20")):
        said = farthing("report", *period, "--project", folder, "--output", "-")
        assert said.code == 0, said.err
        assert "four days in five lie in the band" in said.out


@pytest.mark.slow
def test_a_budget_is_shown_as_it_stood_last(foreseen: tuple[Path, duckdb.DuckDBPyConnection]) -> None:
    folder, con = foreseen
    found = _section(weekly(con, configuration.load(folder), _AS_OF), "budgets")
    assert found.heading == "1 of 2 budgets are or will be above their amount: all"
    [table] = found.tables
    assert [(row["budget"], row["used"]) for row in table.rows] == [("all", Decimal("1.1")), ("calm", Decimal("0.01"))]


@pytest.mark.slow
def test_only_anomalies_that_somebody_was_told_of_are_reported(
    foreseen: tuple[Path, duckdb.DuckDBPyConnection],
) -> None:
    folder, con = foreseen
    found = _section(weekly(con, configuration.load(folder), _AS_OF), "anomalies")
    assert found.heading == "1 anomaly; the largest: Spend doubled"
    [table] = found.tables
    assert [row["why"] for row in table.rows] == ["team search, model m"]
    quiet = _section(weekly(con, configuration.load(folder), date(2026, 9, 30)), "anomalies")
    assert quiet.heading == "Nothing stood out on these days"


def test_without_forecast_budgets_and_anomalies_there_is_no_such_section(
    project: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    names = {section.name for section in weekly(warehouse, configuration.load(project)).sections}
    assert not names & {"landing", "budgets", "anomalies"}
