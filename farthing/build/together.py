"""Runs statements that do not wait for each other side by side, each on a cursor of its own."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from queue import SimpleQueue

import duckdb

#: What is done on a cursor of one connection.
Step = Callable[[duckdb.DuckDBPyConnection], object]


def together(
    con: duckdb.DuckDBPyConnection, steps: Mapping[str, Step], after: Mapping[str, frozenset[str]], *, use: str
) -> None:
    """Do `steps`, as many at a time as `con` has threads, each when those that it is `after` are done.

    Every cursor works in the schema `use`. The steps after one that raises are not begun; its error is raised.
    """
    [(threads,)] = con.execute("select current_setting('threads')::bigint").fetchall()
    order = graphlib.TopologicalSorter({name: after.get(name, frozenset()) & steps.keys() for name in steps})
    order.prepare()
    free: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(threads):
            cursor = con.cursor()
            stack.callback(cursor.close)
            cursor.execute(f"use {use}")
            free.put(cursor)

        def do(step: Step) -> None:
            cursor = free.get()
            try:
                step(cursor)
            finally:
                free.put(cursor)

        pool = stack.enter_context(ThreadPoolExecutor(threads))
        running: dict[Future[None], str] = {}
        try:
            while order.is_active():
                running |= {pool.submit(do, steps[name]): name for name in order.get_ready()}
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    order.done(running.pop(future))
        finally:
            pool.shutdown(cancel_futures=True)
