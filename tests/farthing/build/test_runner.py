"""The runner: files in the order of the tables that they read, and every mistake in words."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from farthing.build import runner
from farthing.errors import ConfigError, InvariantError


def sql(folder: Path, **files: str) -> Path:
    """A folder of SELECT files in the room `core`."""
    room = folder / "core"
    room.mkdir()
    for name, text in files.items():
        (room / f"{name}.sql").write_text(text)
    return folder


def said(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        runner.models("core", root=folder)
    return str(caught.value)


def test_files_run_after_those_that_they_read_whatever_their_names(tmp_path: Path) -> None:
    found = runner.models(
        "core",
        root=sql(
            tmp_path,
            a="select n + 1 as n from b",
            b="with c as (select n from c where n > 0) select max(n) as n from c",  # a CTE that hides its table
            c="select unnest([1, 2]) as n",
            d="select * from lake.requests, settings.pools",
        ),
    )
    assert [model.name for model in runner.in_order(found)] == ["c", "d", "b", "a"]
    assert [model.name for model in runner.in_order(found, ["b"])] == ["c", "b"]
    assert found["d"].outside == {"lake.requests", "settings.pools"}
    with duckdb.connect() as con:
        runner.run(con, found, ["a"])
        assert con.execute("from a").fetchall() == [(3,)]
        assert con.execute("select table_name from duckdb_tables() order by 1").fetchall() == [("a",), ("b",), ("c",)]


def test_a_file_may_say_that_it_is_a_view_and_what_is_there_already_stays(tmp_path: Path) -> None:
    files = {"a": "-- a: top\n-- materialized: view\nselect n from b", "b": "select 1 as n"}
    found = runner.models("core", root=sql(tmp_path, **files))
    assert found["a"].comment.splitlines()[0] == "a: top"
    with duckdb.connect() as con:
        con.execute("create table b as select 7 as n")
        runner.run(con, found, ["a"], without=["b"])
        assert con.execute("from a").fetchall() == [(7,)]
        assert con.execute("select view_name from duckdb_views() where not internal").fetchall() == [("a",)]


def test_a_missing_table_is_named_with_the_nearest_that_there_is(tmp_path: Path) -> None:
    words = said(sql(tmp_path, user_day="select 1 from cost_leger", cost_ledger="select 1 as n"))
    assert words == (
        "sql/core/user_day.sql: reads table 'cost_leger', which no file makes. Fix: did you mean 'cost_ledger'?"
    )


def test_a_missing_table_like_no_other_is_named_too(tmp_path: Path) -> None:
    assert "add zzz.sql or correct the name." in said(sql(tmp_path, a="select 1 from zzz"))


def test_a_circle_is_walked_in_words(tmp_path: Path) -> None:
    words = said(sql(tmp_path, a="select 1 from b", b="select 1 from c", c="select 1 from a", d="select 1 as n"))
    circle = words.split("in a circle: ")[1].rstrip(".").split(" reads ")
    assert (circle[0], len(circle)) == (circle[-1], 4)
    for reader, read in pairwise(circle):
        assert (reader, read) in {("a", "b"), ("b", "c"), ("c", "a")}


@pytest.mark.parametrize(
    "text", ["select 1; select 2", "create table x as select 1", "", "-- nothing", "delete from lake.charges"]
)
def test_a_file_is_one_select_and_nothing_else(tmp_path: Path, text: str) -> None:
    assert said(sql(tmp_path, a=text)) == "sql/core/a.sql: must be one SELECT and nothing else."


def test_what_is_no_sql_is_said_so(tmp_path: Path) -> None:
    assert "sql/core/a.sql: is no SQL that can be read" in said(sql(tmp_path, a="select from where ((("))


def test_two_files_cannot_make_one_table(tmp_path: Path) -> None:
    sql(tmp_path, a="select 1 as n")
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "a.sql").write_text("select 2 as n")
    with pytest.raises(ConfigError, match=r"marts/a\.sql: makes table 'a', as sql/core/a\.sql does"):
        runner.models("core", "marts", root=tmp_path)


def test_what_the_engine_refuses_names_the_file_and_its_statement(tmp_path: Path) -> None:
    found = runner.models("core", root=sql(tmp_path, a="select 1 // 0 as n, nothing"))
    with duckdb.connect() as con, pytest.raises(InvariantError) as caught:
        runner.run(con, found)
    assert (caught.value.check, caught.value.query) == ("sql/core/a.sql", "select 1 // 0 as n, nothing")
    assert "nothing" in caught.value.problem


def test_a_check_that_finds_rows_shows_its_count_and_the_first_three(tmp_path: Path) -> None:
    found = runner.models("core", root=sql(tmp_path, broken="select unnest(range(5)) as n", fine="select 1 limit 0"))
    with duckdb.connect() as con:
        runner.check(con, found, ["fine"])
        with pytest.raises(InvariantError) as caught:
            runner.check(con, found, ["fine", "broken"])
    assert len(caught.value.rows) == 5
    assert "broken: check failed with 5 row(s)" in str(caught.value)
    assert "('2',)" in str(caught.value)
    assert "('3',)" not in str(caught.value)


def test_the_texts_of_rooms_are_all_their_files() -> None:
    texts = runner.texts("marts", "checks/warehouse")
    assert {"marts/user_day.sql", "checks/warehouse/pools_reconcile.sql"} < texts.keys()
    assert all(text.lstrip().startswith("--") for text in texts.values())
