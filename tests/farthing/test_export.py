"""What is exported is the bill, in the form that others read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tests.farthing.commands import farthing
from tests.worlds import BILL, charge, tiny


def test_the_exported_month_has_each_charge_and_each_amount_of_the_bill(tiny_project: Path, tmp_path: Path) -> None:
    path = tmp_path / "october.parquet"
    said = farthing("export", "focus", "--month", "2026-10", "--output", path, "--json", "--project", tiny_project)
    assert said.value["charges"] == 27
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        [(billed, effective, first, providers)] = con.execute(
            "select sum(BilledCost), sum(EffectiveCost), min(ChargePeriodStart)::timestamp,"
            f" list_sort(list(distinct ProviderName)) from '{path}'"
        ).fetchall()
    assert billed == effective == BILL
    assert str(first) == "2026-10-05 00:00:00"
    assert providers == ["AWS", "OpenAI"]


def test_columns_are_those_of_focus_1_2_and_own_ones_begin_with_x(tiny_project: Path, tmp_path: Path) -> None:
    path = tmp_path / "october.parquet"
    farthing("export", "focus", "--month", "2026-10", "--output", path, "--project", tiny_project)
    schema = pq.read_schema(path)
    own = [name for name in schema.names if name.startswith("x_")]
    assert own == ["x_ChargeId", "x_Source", "x_Pool"]
    assert len(schema.names) == 57 + len(own)
    assert str(schema.field("EffectiveCost").type) == "decimal128(38, 12)"
    assert str(schema.field("ChargePeriodStart").type) == "timestamp[us, tz=UTC]"


def test_what_a_source_leaves_out_is_named_after_it_and_text_is_ascii(tmp_path: Path) -> None:
    row = {**charge("", "", Decimal(1), service="Prüfwerk 東"), "ServiceCategory": "", "ProviderName": ""}
    project = tiny(tmp_path / "company", more_charges=[row])
    for verb in ("collect", "build"):
        farthing(verb, "--project", project)
    path = tmp_path / "october.csv"
    farthing("export", "focus", "--month", "2026-10", "--output", path, "--project", project)
    with duckdb.connect() as con:
        [found] = con.execute(
            "select ProviderName, PublisherName, InvoiceIssuerName, BillingAccountId, ServiceCategory, ServiceName,"
            f" ListCost, ContractedCost from read_csv('{path}', all_varchar = true) where ServiceName like 'Pr%'"
        ).fetchall()
    assert found == ("bill", "bill", "bill", "bill", "Other", "Prufwerk ?", "1.000000000000", "1.000000000000")
    assert "2026-10-05T00:00:00Z" in path.read_text(encoding="ascii")


def test_a_month_without_charges_and_a_file_of_no_form_are_refused(tiny_project: Path, tmp_path: Path) -> None:
    said = farthing("export", "focus", "--month", "2025-01", "--project", tiny_project)
    assert said.code == 2
    assert "the bills have 2026-10" in said.err
    wrong = farthing(
        "export", "focus", "--month", "2026-10", "--output", tmp_path / "october.xlsx", "--project", tiny_project
    )
    assert wrong.code == 2
    assert "end it in .parquet or .csv" in wrong.err
