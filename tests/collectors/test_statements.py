"""A bill in a provider's own form lands as FOCUS rows, or says which line or file keeps it from that."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collectors import focus
from collectors.landing import Files
from collectors.statements import Statement, rows_of
from farthing.lake.schemas import CHARGES, REJECTS

HEADER = "day,what,usd\n"


def in_focus(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The small bill of this test as FOCUS."""
    begin, end = pl.col("day") + "T00:00:00Z", pl.col("day") + "T23:00:00Z"
    return rows.select(
        pl.col("^~.*$"),
        pl.lit("2026-09-01T00:00:00Z").alias("BillingPeriodStart"),
        pl.lit("2026-10-01T00:00:00Z").alias("BillingPeriodEnd"),
        begin.alias("ChargePeriodStart"),
        end.alias("ChargePeriodEnd"),
        pl.lit("USD").alias("BillingCurrency"),
        pl.lit("Usage").alias("ChargeCategory"),
        *(pl.col("usd").alias(name) for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")),
        pl.col("what").alias("x_what"),
    )


class SmallBill(Files):
    """A collector whose one statement is the files of the folder."""

    def __init__(self, folder: Path, identity: str = "1", rows: int | None = None) -> None:
        super().__init__(focus.KIND)
        self._statement = Statement(
            "2026-09",
            1,
            identity,
            "small bill",
            lambda scratch: in_focus(rows_of(sorted(folder.glob("*.*")), scratch)),
            rows,
        )

    def find(self, *_: object) -> list[Statement]:
        return [self._statement]


def land(world: Any, tmp_path: Path, **settings: Any) -> Any:
    made = world.config("focus", "unused")
    collector = SmallBill(tmp_path / "bill", **settings)
    [result] = collector.collect("one", made.sources["one"], made, world.lake, world.report)
    assert result.balanced
    return result


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    folder = tmp_path / "bill"
    folder.mkdir()
    return folder


def test_rows_of_all_files_land_with_exact_amounts_and_the_name_of_the_form(
    world: Any, tmp_path: Path, bill: Path
) -> None:
    (bill / "a.csv").write_text(HEADER + "2026-09-01,gpu,0.1\n2026-09-02,gpu,0.200000000000000001\n")
    pl.DataFrame({"day": ["2026-09-03"], "usd": ["3"], "new": ["n"]}).write_parquet(bill / "b.parquet")
    result = land(world, tmp_path, rows=3)
    assert (result.form, result.read, result.landed) == ("small bill", 3, 3)
    rows = world.rows(CHARGES, "ChargePeriodStart")
    assert [row["EffectiveCost"] + row["x_EffectiveCostRounding"] for row in rows] == [
        Decimal("0.1"), Decimal("0.200000000000000001"), Decimal(3),
    ]  # fmt: skip
    assert [row["x_charge_id"] for row in rows] == ["2026-09:1", "2026-09:2", "2026-09:3"]
    assert rows[0]["x_extra"] == '{"x_what":"gpu"}'


def test_a_damaged_line_is_rejected_with_its_number_and_text(world: Any, tmp_path: Path, bill: Path) -> None:
    (bill / "a.csv").write_text(HEADER + "2026-09-01,gpu,1\n2026-09-02,gpu\n2026-09-03,gpu,much\n")
    result = land(world, tmp_path)
    assert (result.read, result.landed, result.rejected) == (3, 1, 2)
    broken, wrong = world.rows(REJECTS, "line")
    assert (broken["line"], broken["raw"]) == (3, "2026-09-02,gpu")
    assert "2 fields, the header has 3" in broken["reason"]
    assert wrong["line"] == 4
    assert "'much' is no plain decimal number" in wrong["reason"]


def test_a_rejected_charge_keeps_what_it_says_of_its_invoice(world: Any, tmp_path: Path, bill: Path) -> None:
    (bill / "a.csv").write_text(HEADER + "2026-09-01,gpu,1\n1999-09-02,gpu,2.0000000000005\n2026-09-03,gpu,much\n")
    assert land(world, tmp_path).rejected == 2
    known, unknown = (json.loads(row["said"]) for row in world.rows(REJECTS, "line"))
    month = {"billing_month": "2026-09-01", "BillingCurrency": "USD"}
    assert known == month | {"BilledCost": "2.000000000001", "x_BilledCostRounding": "-0.000000000000500000000000"}
    assert unknown == month


def test_a_statement_with_fewer_rows_than_promised_does_not_land(world: Any, tmp_path: Path, bill: Path) -> None:
    (bill / "a.csv").write_text(HEADER + "2026-09-01,gpu,1\n")
    result = land(world, tmp_path, rows=2)
    assert result.status == "failed"
    assert "says 2 rows and delivered 1" in result.problem
    assert not world.lake.version(CHARGES)


@pytest.mark.slow
def test_a_new_version_takes_the_place_of_the_old_one(world: Any, tmp_path: Path, bill: Path) -> None:
    (bill / "a.csv").write_text(HEADER + "2026-09-01,gpu,1\n2026-09-02,gpu,2\n")
    land(world, tmp_path)
    (bill / "a.csv").write_text(HEADER + "2026-09-01,gpu,5\n")
    assert land(world, tmp_path).status == "unchanged"
    assert land(world, tmp_path, identity="2").landed == 1
    assert [row["EffectiveCost"] for row in world.rows(CHARGES)] == [5]
