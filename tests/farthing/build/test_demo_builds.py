"""Twenty builds of a small demo at one, two and eight threads give one ledger."""

from __future__ import annotations

import hashlib
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest

from farthing import clock, config, demo
from farthing.build import build
from farthing.lake import Lake
from farthing.lake.schemas import COST_LEDGER
from tests.farthing.build.world import LATER, Silence
from tests.farthing.commands import farthing


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_twenty_builds_at_one_two_and_eight_threads_give_one_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    facts = demo.write(folder, first_day=date(2026, 10, 22), last_day=date(2026, 10, 24), share=0.3)
    assert farthing("collect", "--project", folder).code == 0
    hashes = set()
    for number in range(20):
        copy = Path(shutil.copytree(folder / "lake", tmp_path / f"lake-{number}"))
        project = config.load(folder)
        engine = project.engine.model_copy(update={"threads": (1, 2, 8)[number % 3]})
        place = project.warehouse.model_copy(update={"path": str(tmp_path / f"warehouse-{number}")})
        with clock.fixed(LATER):
            made = project.model_copy(update={"engine": engine, "warehouse": place})
            result = build(made, Lake(str(copy)), progress=Silence())
        assert {total.currency: total.ledger + total.accrued for total in result.totals} == facts.bill
        assert {total.difference for total in result.totals} == {0}
        with duckdb.connect() as con:
            Lake(str(copy)).view(con, COST_LEDGER)
            rows = con.execute("from lake.cost_ledger order by all").fetchall()
        hashes.add(hashlib.sha256(repr(rows).encode()).hexdigest())
        shutil.rmtree(copy)
    assert len(hashes) == 1
