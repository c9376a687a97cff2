"""Each command on the tiny company: what it prints, keeps and exits with."""

from __future__ import annotations

import csv
import io
import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

import collectors
from collectors import LoadResult
from farthing import config as configuration
from farthing import console
from farthing.cli import pipeline, starting
from farthing.console import Form, Sheet
from farthing.errors import ConfigError
from farthing.lake.schemas import IDENTITIES, JOBS
from tests.farthing.commands import farthing
from tests.worlds import API, BILL, NODE_HOUR, STORAGE, TOML, charge, tiny


@pytest.mark.slow
def test_collect_prints_the_equation_of_every_file_and_the_rounding(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    found = farthing("collect", "--json", "--project", project).value
    assert {row["file"]: row["landed"] for row in found}["requests.csv"] == 50
    assert all(row["read"] == row["landed"] + row["duplicate"] + row["rejected"] for row in found)
    [bill] = [row for row in found if row["source"] == "bill"]
    assert Decimal(bill["rounding"]["USD"]) == STORAGE - STORAGE.quantize(Decimal("1e-12"))
    again = farthing("collect", "--json", "--project", project).value
    assert {row["status"] for row in again} == {"unchanged"}


def test_collect_takes_only_the_sources_that_are_named(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    found = farthing("collect", "people", "--json", "--project", project).value
    assert [row["source"] for row in found] == ["people"]
    said = farthing("collect", "nobody", "--project", project)
    assert said.code == 2
    assert "inventory" in said.err


def test_a_source_that_cannot_be_read_is_named_exits_3_and_does_not_keep_the_others(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    (project / "bills" / "empty.csv").write_bytes(b"")
    (project / "gpu.csv").unlink()
    said = farthing("collect", "--json", "--project", project)
    assert said.code == 3
    assert "empty.csv" in said.err
    assert "gpu.csv" in said.err
    assert {row["file"]: row["status"] for row in said.value} == {
        "bills/empty.csv": "failed",
        "bills/october.csv": "landed",
        "requests.csv": "landed",
        "inventory.csv": "landed",
        "identities.csv": "landed",
    }


class Watched:
    """A collector that notes who is at work, and goes on only when `together` are."""

    at_work: ClassVar[list[str]] = []

    def __init__(self, kind: str, together: threading.Barrier) -> None:
        self.table = {"identities": IDENTITIES, "jobs": JOBS}[kind]
        self._together = together

    def collect(self, name: str, *_: object) -> list[LoadResult]:
        assert self.table.name not in self.at_work
        self.at_work.append(self.table.name)
        self._together.wait(timeout=30)
        self.at_work.remove(self.table.name)
        return [LoadResult(name, self.table.name, "file", "landed")]


def test_tables_are_filled_side_by_side_and_the_sources_of_one_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tiny(tmp_path / "company")
    names = ["people1", "people2", "jobs1", "jobs2"]
    with (project / "farthing.toml").open("a", encoding="utf-8") as file:
        for name in names:
            kind = {"people": "identities", "jobs": "jobs"}[name[:-1]]
            file.write(f'\n[sources.{name}]\nkind = "{kind}"\npath = "{kind}.csv"\n')
    barrier = threading.Barrier(2)
    monkeypatch.setattr(collectors, "load", lambda kind: Watched(kind, barrier))
    found = pipeline.collect(configuration.load(project), names)
    assert [result.source for result in found.results] == names


@pytest.mark.slow
def test_rejected_rows_are_announced_and_fail_only_a_strict_collection(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    bill = project / "bills" / "october.csv"
    bill.write_text(bill.read_text(encoding="utf-8").replace("USD", "USDollar", 1), encoding="utf-8")
    said = farthing("collect", "bill", "--project", project)
    assert said.code == 0
    assert "1 rows were rejected" in said.err
    bill.write_text(bill.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert farthing("collect", "bill", "--strict", "--project", project).code == 1


def test_a_dry_run_lists_the_files_and_lands_nothing(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    found = farthing("collect", "--dry-run", "--json", "--project", project).value
    assert {row["file"] for row in found} >= {"bills/october.csv", "requests.csv"}
    assert not (project / "lake").exists()


@pytest.mark.slow
def test_build_prints_bill_ledger_and_a_difference_of_zero_to_the_last_decimal(tiny_project: Path) -> None:
    [total] = farthing("build", "--json", "--project", tiny_project).value["totals"]
    assert Decimal(total["bill"]) == Decimal(total["ledger"]) == BILL
    assert total["difference"] == "0.000000000000"
    assert "0.000000000000" in farthing("build", "--project", tiny_project).out


def test_build_of_a_lake_without_anything_says_what_to_do(tmp_path: Path) -> None:
    said = farthing("build", "--project", tiny(tmp_path / "company"))
    assert said.code == 2
    assert "farthing collect" in said.err


@pytest.mark.slow
def test_a_question_before_the_first_build_says_what_to_do(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    for command in (
        ["query", "select 1"],
        ["tables"],
        ["reconcile", "2026-10"],
        ["explain", "user", "alice"],
        ["dashboard"],
    ):
        said = farthing(*command, "--project", project)
        assert said.code == 2, command
        assert "farthing build" in said.err


def test_query_gives_the_bill_with_decimal_equality(tiny_project: Path) -> None:
    sql = "select BillingCurrency, sum(cost) from cost_ledger group by 1"
    [row] = farthing("query", sql, "--json", "--project", tiny_project).value
    assert Decimal(next(amount for name, amount in row.items() if name != "BillingCurrency")) == BILL


@pytest.mark.parametrize(
    "sql",
    [
        "create table mine as select 1",
        "delete from cost_ledger",
        "from read_csv('/etc/passwd')",
        "copy (select 1) to '/tmp/farthing-must-not-write.csv'",
        "attach '/tmp/farthing-other.duckdb'",
        "set enable_external_access = true",
        "select nothing from nowhere",
        "selec 1",
        ";",
        " ",
    ],
)
def test_query_can_only_read_the_warehouse_and_refuses_in_words(sql: str, tiny_project: Path) -> None:
    said = farthing("query", sql, "--project", tiny_project)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("farthing:")
    assert "bug" not in said.err


def test_a_table_shows_a_part_and_says_so_while_json_and_csv_have_all(tiny_project: Path) -> None:
    shown = farthing("query", "select range as number from range(100)", "--project", tiny_project)
    assert "The first 40 rows" in shown.out
    assert "\n    39" in shown.out
    assert "\n    40" not in shown.out
    assert len(farthing("query", "from range(30000)", "--json", "--project", tiny_project).value) == 30000
    assert len(farthing("query", "from range(30000)", "--csv", "--project", tiny_project).out.splitlines()) == 30001


def test_json_loses_nothing_of_any_type(tiny_project: Path) -> None:
    sql = (
        "select 0.000000000001::decimal(38,12) as small, null as missing, 'NaN'::double as odd,"
        " [1.5::decimal(4,2)] as list, timestamp '2026-10-05 10:00:00' as moment, date '2026-10-05' as day,"
        " 12345678901234567890::hugeint as big, 1 as big"
    )
    [row] = farthing("query", sql, "--json", "--project", tiny_project).value
    assert row == {
        "small": "0.000000000001", "missing": None, "odd": "nan", "list": ["1.50"], "moment": "2026-10-05T10:00:00Z",
        "day": "2026-10-05", "big": 12345678901234567890, "big_1": 1,
    }  # fmt: skip
    assert farthing("query", "select 1 where false", "--json", "--project", tiny_project).value == []


def test_csv_disarms_texts_that_a_spreadsheet_would_run_but_no_negative_number(tiny_project: Path) -> None:
    sql = "select '=cmd()' as a, '@x' as b, '-1+1' as c, -1.5::decimal(9,2) as d, 'a,\"b' as e"
    said = farthing("query", sql, "--csv", "--project", tiny_project)
    assert list(csv.reader(io.StringIO(said.out)))[1] == ["'=cmd()", "'@x", "'-1+1", "-1.50", 'a,"b']


def test_tables_lists_every_mart_with_its_meaning_and_the_columns_of_one(tiny_project: Path) -> None:
    tables = {row["table"]: row for row in farthing("tables", "--json", "--project", tiny_project).value}
    assert {"cost_ledger", "charges", "user_day", "reconciliation"} <= tables.keys()
    assert tables["user_day"]["meaning"]
    columns = farthing("tables", "user_day", "--json", "--project", tiny_project).value
    assert {"column": "day", "type": "DATE"}.items() <= columns[0].items()
    assert farthing("tables", "nothing", "--project", tiny_project).code == 2


@pytest.mark.slow
def test_pools_test_counts_what_each_rule_takes_and_names_what_is_left_over(tiny_project: Path) -> None:
    said = farthing("pools", "test", "--json", "--project", tiny_project)
    assert said.code == 1
    pools = {row["pool"]: row for row in said.value["pools"]}
    assert pools["gpu-serving"]["charges"] == 24
    assert Decimal(pools["gpu-serving"]["cost"]) == 60
    assert Decimal(pools["llm"]["cost"]) == API
    assert [row["resource"] for row in said.value["unassigned"]] == ["i-forgotten"]
    assert sum(Decimal(row["cost"]) for row in said.value["pools"]) == BILL


def test_pools_test_tries_a_rule_before_it_is_built_and_names_those_that_take_nothing(tmp_path: Path) -> None:
    rest = '[[pools]]\nname = "rest"\nkind = "shared"\n[[pools]]\nname = "late"\nkind = "shared"\n'
    project = tiny(tmp_path / "company", toml=TOML + rest)
    farthing("collect", "bill", "--project", project)
    said = farthing("pools", "test", "--project", project)
    assert said.code == 0
    assert "take nothing: late" in said.out


def test_reconcile_ties_every_invoice_and_exits_0(tiny_project: Path) -> None:
    said = farthing("reconcile", "2026-10", "--json", "--project", tiny_project)
    assert said.code == 0
    for row in said.value["invoices"]:
        assert Decimal(row["file_cost"]) == Decimal(row["landed_cost"]) + Decimal(row["rounding"])
        assert row["difference"] == "0.000000000000"
    assert sum(Decimal(row["landed_cost"]) for row in said.value["invoices"]) == BILL


@pytest.mark.slow
def test_reconcile_shows_rejected_rows_with_reason_and_fails_on_a_file_that_could_not_be_read(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", more_charges=[charge("AWS", "Storage", Decimal(1), service="S3", kind="Gift")])
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    said = farthing("reconcile", "2026-10", "--json", "--project", project)
    assert said.code == 0
    [reject] = said.value["rejects"]
    assert "Gift" in reject["reason"]
    (project / "bills" / "empty.csv").write_bytes(b"")
    farthing("collect", "--project", project)
    farthing("build", "--project", project)
    assert farthing("reconcile", "2026-10", "--project", project).code == 1


@pytest.mark.slow
def test_reconcile_says_by_pool_what_no_bill_confirms_and_since_when_and_what_is_estimated(
    half_billed_project: Path,
) -> None:
    said = farthing("reconcile", "2026-10", "--json", "--project", half_billed_project)
    assert said.code == 0
    [row] = said.value["pools"]
    assert Decimal(row["bill_cost"]) == 11 * NODE_HOUR
    assert Decimal(row["provisional_cost"]) == 13 * NODE_HOUR
    assert row["bill_until"] == "2026-10-05T11:00:00Z"
    # 16 requests of 20 seconds each while nobody watched
    assert abs(Decimal(row["estimated_cost"]) - 16 * 20 * NODE_HOUR / 3600) < Decimal("1e-9")
    assert Decimal(row["ledger_cost"]) == Decimal(row["bill_cost"]) + Decimal(row["provisional_cost"])
    text = farthing("reconcile", "2026-10", "--project", half_billed_project).out
    assert "the bill of AWS for gpu-serving ends 2026-10-05 11:00 UTC" in text
    assert "estimated: shared by the requests in flight" in text


def test_reconcile_of_a_billed_month_says_that_nothing_is_provisional_or_estimated(tiny_project: Path) -> None:
    said = farthing("reconcile", "2026-10", "--project", tiny_project).out
    assert "nothing is provisional: bills confirm all of it" in said
    assert "nothing is estimated" in said


def test_reconcile_of_a_month_without_a_bill_exits_2(tiny_project: Path) -> None:
    assert farthing("reconcile", "2025-01", "--project", tiny_project).code == 2


@pytest.mark.slow
def test_init_recognises_the_files_by_their_columns_and_what_it_writes_works(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    (project / "farthing.toml").unlink()
    (project / "notes.csv").write_text("what,when\na,b\n", encoding="utf-8")
    said = farthing("init", "--json", "--project", project)
    assert said.code == 0
    assert {row["kind"]: row["path"] for row in said.value} == {
        "focus": "bills/october.csv", "gpu_inventory": "inventory.csv", "gpu_usage": "gpu.csv",
        "requests": "requests.csv", "identities": "identities.csv",
    }  # fmt: skip
    assert "notes.csv" in said.err
    assert farthing("collect", "--project", project).code == 0


def test_init_in_an_empty_folder_writes_samples_that_load(tmp_path: Path) -> None:
    assert farthing("init", "--project", tmp_path / "new").code == 0
    config = configuration.load(tmp_path / "new")
    assert {source.kind for source in config.sources.values()} == {"focus", "requests", "gpu_usage", "gpu_inventory"}
    assert config.pools[-1].match == {}


def test_init_never_overwrites_without_force(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    assert farthing("init", "--project", project).code == 2
    assert (project / "farthing.toml").read_text(encoding="utf-8") == TOML
    assert farthing("init", "--force", "--project", project).code == 0
    assert (project / "farthing.toml").read_text(encoding="utf-8") != TOML


def test_the_dashboard_names_the_extra_that_is_missing(tiny_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"farthing\[dashboard\]"):
        starting._start_dashboard(configuration.load(tiny_project), "127.0.0.1", None)


def test_the_dashboard_process_gets_project_address_and_no_usage_statistics(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def start(_path: str, arguments: list[str], environment: dict[str, str]) -> None:
        started.append((arguments, environment))

    monkeypatch.setattr("os.execve", start)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert farthing("dashboard", "--port", "8601", "--project", tiny_project).code == 0
    [(arguments, environment)] = started
    assert {"--server.address=127.0.0.1", "--server.port=8601", "--browser.gatherUsageStats=false"} <= set(arguments)
    assert environment["FARTHING_PROJECT"] == str(tiny_project)


@pytest.mark.slow
def test_the_demo_is_labelled_simulated_ties_to_its_bill_and_runs_again(tmp_path: Path) -> None:
    said = farthing("demo", "--no-dashboard", "--days", 1, "--project", tmp_path / "demo")
    assert said.code == 0, said.err
    assert "SIMULATED" in said.out
    assert "0.000000000000" in said.out
    again = farthing("demo", "--no-dashboard", "--days", 1, "--json", "--project", tmp_path / "demo")
    assert again.code == 0
    assert again.value["demo"]["simulated"] is True
    truth = json.loads((tmp_path / "demo" / "truth" / "truth.json").read_text(encoding="utf-8"))
    for total in again.value["totals"]:
        assert Decimal(total["ledger"]) == Decimal(truth["bill"][total["currency"]])
        assert total["difference"] == "0.000000000000"


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [
        ("1234.5", 2, "1,234.50"), ("-0.004", 2, ">-0.01"), ("0.004", 2, "<0.01"), ("0", 2, "0.00"), ("-0", 2, "0.00"),
        ("0.00012345", 6, "0.000123"),
    ],
)  # fmt: skip
def test_an_amount_that_is_not_zero_never_looks_like_zero(value: str, places: int, shown: str) -> None:
    assert console.money(Decimal(value), places) == shown


def test_a_missing_value_is_not_shown_as_zero(capsys: pytest.CaptureFixture[str]) -> None:
    console.show(Sheet("rows", ["cost"], [[None], [Decimal("2.5")]]))
    assert "\N{EN DASH}" in capsys.readouterr().out


def test_many_files_of_a_source_are_one_line_for_people_and_all_lines_for_programs() -> None:
    from collectors.collection import Collection
    from farthing.cli.pipeline import collection_sheet

    found = Collection([LoadResult("bill", "charges", f"{n}.csv", "landed", 2, 2) for n in range(100)], [])
    assert [row[2:6] for row in collection_sheet(found).rows] == [["100 files", None, "landed", 200]]
    assert len(collection_sheet(found, Form.JSON).rows) == 100


def test_a_file_that_cannot_be_read_exits_3_although_its_source_was_reached(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    (project / "bills" / "empty.csv").write_bytes(b"")
    assert farthing("collect", "bill", "--project", project).code == 3
