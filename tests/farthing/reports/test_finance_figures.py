"""The report shows idle hours, rates, restatements, what is unmatched and what is written off as the marts do."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from farthing import config as configuration
from farthing import figures
from farthing.reports import monthly
from farthing.reports.document import Report
from farthing.warehouse import open_warehouse
from tests import restated
from tests.farthing.reports.test_monthly import ask, rows, section

pytestmark = pytest.mark.slow  # builds of a whole project

Con = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return restated.publish(tmp_path_factory.mktemp("restated"))


@pytest.fixture
def con(project: Path) -> Iterator[Con]:
    with open_warehouse(configuration.load(project)) as opened:
        yield opened


@pytest.fixture
def made(project: Path, con: Con) -> Report:
    return monthly(con, configuration.load(project))


def test_the_hours_of_gpus_are_those_of_gpu_hours(made: Report, con: Con) -> None:
    expected = con.execute(
        "select day, hour, sum(busy_seconds) / nullif(sum(covered_seconds), 0), sum(idle_cost) from gpu_hours"
        " group by day, hour order by day, hour"
    ).fetchall()
    shown = [
        (row["day"], row["hour"], float(row["busy_share"]), row["idle_cost"]) if row["busy_share"] is not None
        else (row["day"], row["hour"], None, row["idle_cost"])
        for row in rows(made, "gpu_hours")
    ]  # fmt: skip
    assert shown == expected
    night, whole = (ask(con, f"select sum(idle_cost) from gpu_hours where {where}") for where in ("hour < 6", "true"))
    said = f"idle time cost {figures.money(night)} USD, {figures.share(night, whole)} of all idle cost"
    assert any(said in text for text in section(made, "gpus").said)


def test_rates_are_those_of_the_mart_with_the_premium_over_the_contract(made: Report, con: Con) -> None:
    names = ("provider", "gpu_model", "pricing_category", "commitment", "gpu_hours", "cost", "rate", "premium")
    expected = con.execute(f"select {', '.join(names)} from gpu_rate").fetchall()
    shown = [tuple(row[name] for name in names) for row in rows(made, "gpu_rates")]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    assert [row["premium"] for row in rows(made, "gpu_rates") if row["pricing_category"] == "Standard"] == [
        Decimal("0.5")
    ]


def test_what_a_late_bill_changed_is_that_of_restatements(made: Report, con: Con) -> None:
    expected = con.execute("select pool, sum(change) from restatements where change <> 0 group by 1").fetchall()
    assert [(row["pool"], row["change"]) for row in rows(made, "restatements")] == expected
    assert expected == [("gpu", Decimal(restated.LATE))]
    assert f"Later bills changed what was stated before by {restated.LATE} USD." in section(made, "firmness").said


def test_what_no_join_matched_is_listed_with_its_money(made: Report, con: Con) -> None:
    expected = con.execute("select subject, key, requests, cost from unmatched").fetchall()
    shown = [tuple(row[name] for name in ("subject", "key", "requests", "cost")) for row in rows(made, "unmatched")]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    assert ("GPU without telemetry", "H", None, 6) in shown


def test_training_is_written_off_in_a_table_of_its_own(made: Report, con: Con) -> None:
    cost = ask(con, "select cost from training_amortisation where month = '2026-10-01'")
    assert cost == 20
    assert [(row["model"], row["cost"]) for row in rows(made, "training_amortisation")] == [("v2", cost)]
    [run] = rows(made, "training_runs")
    assert (run["cost"], run["gpu_hours"]) == (60, 1)
    per_request = next(row for row in rows(made, "unit_costs") if row["unit"] == "request")
    assert per_request["training_cost_per_unit"] == (cost / 4).quantize(Decimal("1E-12"), "ROUND_DOWN")
