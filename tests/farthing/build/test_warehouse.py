"""The published warehouse: one file that stands alone, read-only, replaced by its pointer."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from farthing import commit_points
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.lake import Lake
from farthing.warehouse import POINTER, WarehouseMissingError, current, dictionary, open_warehouse
from tests.farthing.build.world import LATER, World, at


def _world() -> World:
    world = World(attribution={"cell_seconds": 60})
    world.charge(2)
    world.gpu()
    world.usage(at("10:00"), at("11:00"), 0.5)
    world.request(at("10:00"), at("11:00"))
    return world


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    world = _world()
    world.land(Lake(str(folder / "lake")))
    world.build(folder)
    return folder


@pytest.fixture
def project(published: Path, tmp_path: Path) -> Config:
    """A project of its own with a published warehouse."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return _world().config(tmp_path)


def test_before_the_first_publish_the_reader_is_told_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(
        WarehouseMissingError, match=r"no warehouse is published yet\. Fix: run `farthing collect`"
    ) as caught:
        open_warehouse(_world().config(tmp_path))
    assert isinstance(caught.value, ConfigError)
    folder = tmp_path / "warehouse"
    folder.mkdir()
    (folder / POINTER).write_text("farthing-gone.duckdb\n")
    with pytest.raises(WarehouseMissingError):
        open_warehouse(_world().config(tmp_path))


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("delete from cost_ledger", "read-only"),
        ("create table mine as select 1", "read-only"),
        ("from read_csv('{file}')", "disabled by configuration"),
        ("select * from '{file}'", "disabled by configuration"),
        ("copy cost_ledger to '{file}.out'", "disabled by configuration"),
        ("attach '{file}.duckdb' as other", "disabled by configuration"),
        ("install httpfs", "disabled by configuration"),
        ("set enable_external_access = true", "Cannot change|locked"),
        ("set lock_configuration = false", "locked"),
        ("set memory_limit = '1TB'", "locked"),
    ],
)
def test_who_reads_can_neither_write_nor_reach_outside(project: Config, statement: str, error: str) -> None:
    file = project.root / "secret.csv"
    file.write_text("a\n1\n")
    with open_warehouse(project) as con, pytest.raises(duckdb.Error, match=f"(?i){error}"):
        con.execute(statement.format(file=file)).fetchall()
    assert [path.name for path in project.root.glob("secret*")] == ["secret.csv"]


def test_it_stands_alone_without_the_lake(project: Config) -> None:
    shutil.rmtree(project.lake_path)
    with open_warehouse(project) as con:
        tables = con.execute("select table_name from duckdb_tables()").fetchall()
        assert not con.execute("select view_name from duckdb_views() where not internal").fetchall()
        for (table,) in tables:
            con.execute(f"from {table}").fetchall()
        assert con.execute("select sum(cost) from cost_ledger").fetchall() == [(2,)]
        assert {"charges", "requests", "gpu_usage", "request_costs", "gpu_day"} < {table for (table,) in tables}


def test_a_reader_keeps_its_state_while_the_pointer_is_replaced(project: Config) -> None:
    folder = Path(project.warehouse_path)
    with open_warehouse(project) as old:
        more = World(attribution={"cell_seconds": 60})
        more.charge(3)
        more.land(Lake(project.lake_path))
        seen = []
        commit_points.on("publish.before", lambda: seen.append(current(folder)))
        try:
            result = more.build(project.root)
        finally:
            commit_points.on("publish.before", None)
        assert seen == [next(path for path in folder.glob("*.duckdb") if path != result.warehouse)]
        assert current(folder) == result.warehouse
        assert old.execute("select sum(cost) from cost_ledger").fetchall() == [(2,)]
        with open_warehouse(project) as new:
            assert new.execute("select sum(cost) from cost_ledger").fetchall() == [(5,)]


def test_as_many_published_files_are_kept_as_configured(project: Config) -> None:
    folder = Path(project.warehouse_path)
    world = _world()
    world.tables["warehouse"] = {"keep": 2}
    for hour in (1, 2, 3):
        latest = world.build(project.root, now=LATER + timedelta(hours=hour)).warehouse
    assert latest == current(folder)
    assert len(list(folder.glob("farthing-*.duckdb"))) == 2
    assert not list(folder.glob("*.making*"))


def test_every_column_of_a_mart_says_what_it_means(project: Config) -> None:
    with open_warehouse(project) as con:
        silent = [(table, column) for table, column, _, meaning in dictionary(con) if not meaning]
    assert silent == []
