"""`farthing reconcile`: the walk by cause, invoices on paper, late rows, and what the provider itself states."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from farthing.lake import Lake
from farthing.lake.schemas import INVOICES
from tests.farthing.build.world import DAY, World, at
from tests.farthing.commands import farthing
from tests.servers import moto_endpoint

__all__ = ["moto_endpoint"]

TOML = """
[sources.bill]
kind = "aws"
export = "s3://bucket/prefix/name"
endpoint = "{endpoint}"

[sources.files]
kind = "focus"
path = "*.csv"

[[pools]]
name = "all"
kind = "shared"
"""


def world() -> World:
    """Accounts a and b of one payer: 12 of use, 6 that a plan has paid for, a tax of 2, a credit of 3."""
    made = World({"name": "all", "kind": "shared"})
    made.charge(12, SubAccountId="a")
    made.charge(6, SubAccountId="a", BilledCost=Decimal(0), CommitmentDiscountStatus="Used")
    made.charge(2, SubAccountId="b", ChargeCategory="Tax")
    made.charge(-3, SubAccountId="b", ChargeCategory="Credit")
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That world, built; no test may change it."""
    folder = tmp_path_factory.mktemp("reconcile")
    world().land(Lake(str(folder / "lake")))
    world().build(folder)
    (folder / "farthing.toml").write_text(TOML.format(endpoint="http://127.0.0.1:1"), encoding="utf-8")
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(built, tmp_path / "project"))


@pytest.fixture
def explorer(moto_endpoint: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says what Cost Explorer states for each account: cash and amortised."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "farthing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (project / "farthing.toml").write_text(TOML.format(endpoint=moto_endpoint), encoding="utf-8")

    def states(estimated: bool = False, **accounts: tuple[str, str]) -> None:
        groups = [
            {
                "Keys": [account],
                "Metrics": {
                    "UnblendedCost": {"Amount": cash, "Unit": "USD"},
                    "AmortizedCost": {"Amount": spread, "Unit": "USD"},
                },
            }
            for account, (cash, spread) in accounts.items()
        ]
        period = {"TimePeriod": {"Start": "2026-10-01", "End": "2026-11-01"}, "Groups": groups, "Estimated": estimated}
        told = {"region": "aws", "account_id": "123456789012", "results": [{"ResultsByTime": [period]}]}
        # it says the same to the same question for ever, unless it forgets everything
        urllib.request.urlopen(urllib.request.Request(f"{moto_endpoint}/moto-api/reset", b"")).close()
        url = f"{moto_endpoint}/moto-api/static/ce/cost-and-usage-results"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(told).encode())).close()

    return states


def picked(rows: Any, *columns: str) -> list[tuple[Any, ...]]:
    """Values of rows by column; amounts as numbers."""

    def value(text: Any) -> Any:
        return Decimal(text) if isinstance(text, str) and re.fullmatch(r"-?[0-9.]+", text) else text

    return [tuple(value(row[column]) for column in columns) for row in rows]


def reconciled(project: Path, *options: str) -> Any:
    return farthing("reconcile", "2026-10", "--json", *options, "--project", project)


@pytest.mark.slow
def test_the_lines_of_the_walk_add_up_to_the_ledger_and_name_their_causes(built: Path) -> None:
    said = reconciled(built)
    assert said.code == 0
    walk = {row["cause"]: Decimal(row["amount"]) for row in said.value["walk"]}
    assert walk == {"bill": 11, "commitment used": 6, "tax": 0, "credit": 0, "ledger": 17}
    accounts = picked(said.value["accounts"], "SubAccountId", "bill_cost", "ledger_cost", "causes")
    assert accounts == [("a", 12, 18, "commitment used 6.00"), ("b", -1, -1, None)]
    assert {row["cause"] for row in said.value["causes"]} == walk.keys()
    text = farthing("reconcile", "2026-10", "--project", built).out
    assert "use that commitments have paid for" in text
    assert "Invoices on paper" not in text  # there are none


@pytest.mark.slow
def test_rows_that_landed_after_the_build_are_a_line_of_the_walk(project: Path) -> None:
    late = World()
    late.charge(5, BilledCost=Decimal(4), SubAccountId="a")
    late.land(Lake(str(project / "lake")))
    said = reconciled(project)
    assert said.code == 0
    walk = {row["cause"]: Decimal(row["amount"]) for row in said.value["walk"]}
    assert walk == {"bill": 15, "late rows": -4, "commitment used": 6, "tax": 0, "credit": 0, "ledger": 17}
    assert "run `farthing build`" in said.err


@pytest.mark.slow
def test_an_invoice_on_paper_is_explained_or_makes_the_exit_code_1(project: Path) -> None:
    lake = Lake(str(project / "lake"))

    def paper(amount: str) -> Any:
        row = {"x_source": "paper", "provider": "AWS", "month": DAY, "amount": Decimal(amount), "currency": "USD"}
        table = pa.Table.from_pylist([row], schema=INVOICES.schema)
        lake.replace(INVOICES, table, where={"x_source": "paper"})
        world().build(project)
        return reconciled(project)

    said = paper("9.00")  # without the tax
    assert said.code == 0
    assert picked(said.value["papers"], "cause", "residual") == [("tax", 0)]
    said = paper("10.00")
    assert said.code == 1
    assert picked(said.value["papers"], "cause", "residual") == [("residual", -1)]
    assert "An invoice on paper differs from the bill" in said.err


@pytest.mark.heavy
def test_the_provider_states_what_landed(explorer: Any, project: Path) -> None:
    explorer(a=("12.0000000000", "18"), b=("-1", "-1.0"))
    said = reconciled(project, "--ask")
    assert said.code == 0
    assert picked(said.value["asked"], "account", "metric", "difference", "cause") == [
        ("a", "amortised", 0, None), ("a", "billed", 0, None), ("b", "amortised", 0, None), ("b", "billed", 0, None),
    ]  # fmt: skip
    assert "AWS charges 0.01 USD" in said.err
    assert "no provider can be reached through them: files" in said.err


@pytest.mark.heavy
def test_another_total_of_the_provider_has_a_cause_or_makes_the_exit_code_1(explorer: Any, project: Path) -> None:
    explorer(a=("12.001", "18"), b=("-3", "2"))  # b: once without the tax, once without the credit
    said = reconciled(project, "--ask")
    causes = {(row["account"], row["metric"]): row["cause"] for row in said.value["asked"]}
    assert causes == {
        ("a", "billed"): "rounding", ("a", "amortised"): None, ("b", "billed"): "tax", ("b", "amortised"): "credit",
    }  # fmt: skip
    assert said.code == 0
    explorer(a=("12.01", "18"), c=("1", "1"))
    said = reconciled(project, "--ask")
    assert {row["account"]: row["cause"] for row in said.value["asked"] if row["metric"] == "billed"} == {
        "a": "residual", "b": "residual", "c": "residual",
    }  # fmt: skip
    assert said.code == 1
    assert "A provider states another total" in said.err


@pytest.mark.heavy
def test_a_month_that_is_open_may_be_ahead_of_what_landed(explorer: Any, project: Path) -> None:
    explorer(a=("14", "20"), b=("-1", "-1"), estimated=True)
    said = reconciled(project, "--ask")
    assert [row["cause"] for row in said.value["asked"]] == ["open month", "open month", None, None]
    assert said.code == 0


def test_a_dry_run_says_what_asking_costs_and_asks_nobody(built: Path) -> None:
    said = reconciled(built, "--ask", "--dry-run")  # nobody listens at its endpoint
    assert said.code == 0
    assert said.value["asked"] == []
    assert "would ask Cost Explorer for 2026-10; AWS charges 0.01 USD" in said.err
    assert reconciled(built, "--dry-run").code == 2


@pytest.mark.slow
def test_a_charge_between_two_months_leaves_one_walk_and_comes_into_the_other(tmp_path: Path) -> None:
    made = World({"name": "all", "kind": "shared"})
    made.charge(8, at("22:00", day=31), at("02:00", day=32))
    made.land(Lake(str(tmp_path / "lake")))
    made.build(tmp_path)
    (tmp_path / "farthing.toml").write_text(TOML.format(endpoint="http://127.0.0.1:1"), encoding="utf-8")
    october = reconciled(tmp_path).value["walk"]
    assert picked(october, "cause", "amount") == [("bill", 8), ("invoice month", -4), ("ledger", 4)]
    assert october[1]["step"].endswith(", of these invoices")
    said = farthing("reconcile", "2026-11", "--json", "--project", tmp_path)
    assert said.code == 2  # no invoice is for November
    query = "select cause, amount from reconciliation_causes where month = date '2026-11-01' order by position"
    november = farthing("query", query, "--json", "--project", tmp_path).value
    assert picked(november, "cause", "amount") == [("invoice month", 4), ("ledger", 4)]
