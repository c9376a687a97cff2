"""`farthing budgets` on a built company: the whole way from a plan's file and farthing.toml to the table."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from farthing import clock, issued, warehouse
from farthing.budgets import evaluate, store
from farthing.config import load
from farthing.lake import Lake
from tests.farthing.budgets.conftest import Silence
from tests.farthing.commands import farthing
from tests.worlds import BILL, MIDNIGHT, NODE_HOUR, TOML, charge, tiny, write_csv

pytestmark = pytest.mark.slow  # a project is built and asked for each

BUDGETS = """
[sources.plan]
kind = "budgets"
path = "budgets.csv"
[[budgets]]
name = "everything"
amount = 100
[[budgets]]
name = "users"
scope = { user = "*" }
window_days = 7
amount = "0.01"
thresholds = { actual = [100] }
[[budgets]]
name = "quiet"
scope = { pool = "storage" }
amount = 1_000_000
"""
PLAN = """\
month,name,dimension,key,provider,amount,currency,quantity,unit,rate
2026-10,gpus,pool,gpu-serving,AWS,,USD,24,GPU hours,1.00
2026-10,quiet plan,team,nobody,,5,USD,,,
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny(tmp_path_factory.mktemp("budgets") / "company", toml=TOML + BUDGETS)
    (folder / "budgets.csv").write_text(PLAN)
    assert farthing("collect", "--project", folder).code == 0
    assert farthing("build", "--project", folder).code == 0
    return folder


def test_each_budget_stands_in_the_table_and_a_crossed_one_is_a_finding(company: Path) -> None:
    said = farthing("budgets", "--project", company, "--json")
    assert said.code == 1
    found = {(row["budget"], row["key"]): row for row in said.value}
    assert {name for name, _ in found} == {"everything", "users", "quiet", "gpus", "quiet plan"}
    everything = found["everything", None]
    assert Decimal(everything["actual"]) == BILL
    assert [one["percent"] for one in everything["crossed"]] == [50]
    assert (everything["landing"], everything["since"]) == (None, "2026-10-05")
    assert {"alice", "bob"} >= {key for name, key in found if name == "users"} != set()
    assert "users: " in said.err


def test_without_a_crossed_threshold_the_command_is_content(company: Path) -> None:
    said = farthing("budgets", "--scope", "pool=storage", "--project", company)
    assert said.code == 0
    assert "pool storage" in said.out
    assert "no forecast" in said.out
    assert "everything" not in said.out


def test_a_month_before_the_ledger_is_asked_for_by_name(company: Path) -> None:
    said = farthing("budgets", "--month", "2026-12", "--project", company, "--json")
    assert {row["actual"] for row in said.value} == {None}
    assert said.code == 0


def test_the_csv_has_a_line_for_each(company: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(farthing("budgets", "--project", company, "--csv").out)))
    (everything,) = [row for row in rows if row["budget"] == "everything"]
    assert (Decimal(everything["actual"]), everything["crossed"]) == (BILL, "50 % actual")


@pytest.mark.parametrize("scope", ["squad=a", "team", "team="])
def test_a_scope_that_is_none_is_a_usage_error(company: Path, scope: str) -> None:
    said = farthing("budgets", "--scope", scope, "--project", company)
    assert (said.code, said.out) == (2, "")
    assert "is no scope" in said.err


def test_a_variance_adds_up_in_what_is_printed(company: Path) -> None:
    said = farthing("budgets", "variance", "2026-10", "gpus", "--project", company, "--json")
    assert said.code == 0
    total = said.value["variance"]
    effects = [Decimal(total[name]) for name in ("volume", "mix", "rate", "unsplit")]
    # 48 hours came of 24: as much again is volume; they cost 60 where 48 were due.
    assert effects == [24, 0, 12, 0]
    assert Decimal(total["variance"]) == sum(effects) == 24 * NODE_HOUR - 24
    (line,) = said.value["lines"]
    assert [Decimal(line[name]) for name in ("quantity", "actual_rate")] == [48, Decimal("1.25")]
    assert line["provider"] == "AWS"
    assert "rate" in farthing("budgets", "variance", "2026-10", "gpus", "--project", company).out


def test_a_budget_that_is_not_there_exits_2_and_names_those_that_are(company: Path) -> None:
    said = farthing("budgets", "variance", "2026-10", "nonsense", "--project", company)
    assert said.code == 2
    assert "one of that month: everything, quiet, gpus, quiet plan" in said.err


def test_an_evaluation_is_kept_and_comes_into_the_warehouse(company: Path) -> None:
    config = load(company)
    lake = Lake(config.lake_path)
    with clock.fixed(MIDNIGHT):
        store(lake, evaluate(config, Silence()))
        issued.publish(config, lake, lambda _: None)
    with warehouse.open_warehouse(config) as con:
        rows = con.execute("select actual, threshold, basis from budget_status where budget = 'everything'").fetchall()
    assert rows == [(BILL, 0.5, "actual")]


def test_the_month_before_is_looked_at_again_as_its_bills_still_come(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "company", toml=TOML + BUDGETS)
    (folder / "budgets.csv").write_text(PLAN)
    late = charge("AWS", "Compute", Decimal(3), resource="i-later", service="EC2")
    late |= {"ChargePeriodStart": "2026-11-02T00:00:00Z", "ChargePeriodEnd": "2026-11-03T00:00:00Z"}
    write_csv(folder / "bills" / "november.csv", tuple(late), [late])
    assert farthing("collect", "--project", folder).code == 0
    with clock.fixed(datetime(2026, 11, 20, tzinfo=UTC)):
        assert farthing("build", "--project", folder).code == 0
        found = evaluate(load(folder), Silence())
    amounts = {(status.limit.name, status.limit.begin.month): status.actual for status in found}
    assert amounts["everything", 10] == BILL
    assert amounts["everything", 11] == 3
    assert sum(status.limit.rolling for status in found) == 1  # the window is that of the ledger's end alone
