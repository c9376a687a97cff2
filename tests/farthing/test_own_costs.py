"""Labour and other costs of a file of one's own, from the example of the documentation to teams and customers."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from farthing import warehouse
from farthing.config import load
from tests.farthing.commands import farthing
from tests.worlds import TOML, tiny

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("### Labour and other costs of your own")[2]


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", EXAMPLE, re.DOTALL)
    assert found
    return found[1]


def test_init_recognises_a_file_of_costs(tmp_path: Path) -> None:
    (tmp_path / "labour.csv").write_text(_block("csv"), encoding="utf-8")
    said = farthing("init", "--json", "--project", tmp_path)
    assert [(row["kind"], row["path"]) for row in said.value] == [("costs", "labour.csv")]
    assert farthing("collect", "--project", tmp_path).code == 0


@pytest.mark.slow
def test_costs_of_a_team_are_owned_by_it_and_those_with_a_driver_follow_its_metric(tmp_path: Path) -> None:
    sources, pools = _block("toml").split("[[pools]]", maxsplit=1)
    project = tiny(tmp_path / "company", toml=f"{TOML}{sources}[[pools]]{pools}")
    (project / "costs").mkdir()
    (project / "costs" / "october.csv").write_text(_block("csv"), encoding="utf-8")
    (project / "tickets.csv").write_text(
        "day,dimension,key,name,quantity\n2026-10-05,customer,acme,tickets,30\n2026-10-05,customer,globex,tickets,10\n",
        encoding="utf-8",
    )
    assert farthing("collect", "--project", project).code == 0
    assert farthing("build", "--project", project).code == 0
    with warehouse.open_warehouse(load(project)) as con:
        assert _ledger(con, "BillingCurrency = 'EUR'", "pool", "team_id") == {
            ("labelling", "research"): 8000,
            ("labour", "platform"): 450,
            ("support-desk", None): 6200,
        }
        # 6,200 over 31 days are 200 a day; tickets are known of one.
        assert _ledger(con, "pool = 'support-desk' and day = '2026-10-05'", "kind", "customer_id") == {
            ("shared", "acme"): 150,
            ("shared", "globex"): 50,
        }
        assert _ledger(con, "pool = 'support-desk' and day <> '2026-10-05'", "kind", "customer_id") == {
            ("unassigned", None): 6000
        }
        assert _ledger(con, "pool = 'labour'", "day::varchar", "kind") == {("2026-10-14", "direct"): 450}


def _ledger(con: duckdb.DuckDBPyConnection, where: str, *columns: str) -> dict[tuple[object, ...], Decimal]:
    rows = con.execute(f"select {', '.join(columns)}, sum(cost) from cost_ledger where {where} group by all").fetchall()
    return {tuple(row[:-1]): row[-1] for row in rows}
