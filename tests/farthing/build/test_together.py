"""Statements side by side: each after those it needs, and an error is the error."""

from __future__ import annotations

import threading

import duckdb
import pytest

from farthing.build.together import Step, together


def test_a_step_begins_when_those_it_is_after_are_done() -> None:
    con = duckdb.connect()
    con.execute("set threads = 2")

    def makes(query: str) -> Step:
        return lambda cursor: cursor.execute(query)

    steps = {
        "last": makes("create table last as select a.x + b.x as x from a, b"),
        "b": makes("create table b as select x + 1 as x from a"),
        "a": makes("create table a as select sum(range) as x from range(3000000)"),
    }
    after = {"last": frozenset({"a", "b"}), "b": frozenset({"a", "made before"})}
    together(con, steps, after, use="memory.main")
    assert con.execute("select x from last").fetchall() == [(2 * sum(range(3_000_000)) + 1,)]


def test_steps_that_do_not_wait_for_each_other_run_at_once() -> None:
    con = duckdb.connect()
    con.execute("set threads = 2")
    both = threading.Barrier(2, timeout=30)  # passed only by two at a time
    together(con, {name: lambda _: both.wait() for name in "ab"}, {}, use="memory.main")


def test_what_comes_after_an_error_is_not_begun() -> None:
    con = duckdb.connect()
    con.execute("set threads = 2")
    steps: dict[str, Step] = {
        "wrong": lambda cursor: cursor.execute("select * from nowhere"),
        "next": lambda cursor: cursor.execute("create table reached as select 1"),
    }
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        together(con, steps, {"next": frozenset({"wrong"})}, use="memory.main")
    assert con.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]
