from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from farthing import dictionary, meanings, warehouse
from farthing.build import runner
from farthing.lake.schemas import BUILD_DAYS, BUILT, CHARGES, COLLECTED, LOADS, REJECTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data-dictionary.md"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with dictionary.smallest_warehouse() as con:
        yield con


def _written() -> dict[str, set[str]]:
    """Columns by table, as the page has them."""
    sections = PAGE.read_text(encoding="utf-8").split("\n### ")[1:]
    return {
        section.splitlines()[0]: {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
        for section in sections
    }


def test_the_page_is_what_make_docs_writes(con: duckdb.DuckDBPyConnection) -> None:
    assert PAGE.read_text(encoding="utf-8") == dictionary.page(con), "run `make docs`"


def test_every_column_of_every_mart_is_on_the_page(con: duckdb.DuckDBPyConnection) -> None:
    marts = runner.models("marts", known=frozenset(name for name, *_ in warehouse.dictionary(con)))
    columns = {name: set[str]() for name in (*marts, "cost_ledger", "request_costs")}
    for table, column, _, _ in warehouse.dictionary(con):
        if table in columns:
            columns[table].add(column)
    written = _written()
    assert len(marts) > 8
    assert {name: sorted(found - written.get(name, set())) for name, found in columns.items()} == {
        name: [] for name in columns
    }


def test_every_table_and_column_of_the_warehouse_has_a_meaning(con: duckdb.DuckDBPyConnection) -> None:
    assert not [f"{table}.{column}" for table, column, _, meaning in warehouse.dictionary(con) if not meaning]
    tables = con.execute("select table_name, comment from duckdb_tables() where schema_name = 'main'").fetchall()
    assert not [name for name, comment in tables if not comment]


def test_every_column_of_every_lake_table_has_a_meaning_and_no_other_has_one() -> None:
    tables = {table.name: set(table.columns) for table in (*COLLECTED, *BUILT, BUILD_DAYS, LOADS, REJECTS)}
    for name, columns in tables.items():
        made = {"pool", "owner_team", "credit", "pool_kind", "x_cost_column", "x_cost", "is_promotional_credit"}
        extra = made if name == CHARGES.name else set()
        assert set(meanings.COLUMNS[name]) == columns | extra, name


def test_a_meaning_of_a_warehouse_table_names_a_column_that_is_there(con: duckdb.DuckDBPyConnection) -> None:
    there = {(table, column) for table, column, _, _ in warehouse.dictionary(con)}
    tables = {table for table, _ in there}
    told = {(table, column) for table, columns in meanings.COLUMNS.items() for column in columns if table in tables}
    assert not told - there
    assert meanings.TABLES.keys() == meanings.COLUMNS.keys()


def test_a_table_that_is_in_no_chapter_is_an_error(
    monkeypatch: pytest.MonkeyPatch, con: duckdb.DuckDBPyConnection
) -> None:
    monkeypatch.setitem(dictionary.CHAPTERS, "The ledger", ("cost_ledger",))
    with pytest.raises(ValueError, match="request_costs"):
        dictionary.page(con)


def test_a_tag_that_the_ledger_promotes_says_whose_it_is() -> None:
    assert "experiment" in meanings.of_column("cost_ledger", "experiment")
    assert meanings.of_column("user_day", "cost") == ""
