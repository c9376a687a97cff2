"""A small project in a folder: write files, collect them into a real lake, look at what landed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from collectors import Collector, LoadResult
from farthing import config
from farthing.lake import Lake
from farthing.lake.schemas import REJECTS, Table
from tests.servers import azurite_endpoint, blobs  # noqa: F401  # fixtures


class Silence:
    """A report that remembers what it was told."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self.done_bytes = 0
        self.messages: list[str] = []

    def start(self, _total_files: int, total_bytes: int) -> None:
        self.total_bytes = total_bytes

    def advance(self, done_bytes: int) -> None:
        self.done_bytes += done_bytes

    def message(self, text: str) -> None:
        self.messages.append(text)


class World:
    """A project folder with one source after the other, and its lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(str(folder / "lake"))
        self.report = Silence()

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def parquet(self, name: str, query: str) -> Path:
        with duckdb.connect() as con:
            con.execute(f"copy ({query}) to '{self.folder / name}' (format parquet)")
        return self.folder / name

    def config(self, kind: str, path: str | None, name: str = "one", **source: Any) -> config.Config:
        values = {"sources": {name: {"kind": kind, "path": path, **source}}}
        return config.from_mapping(values, file=self.folder / "farthing.toml")

    def collect(self, kind: str, path: str | None = "*", name: str = "one", **source: Any) -> list[LoadResult]:
        made = self.config(kind, path, name, **source)
        self.report = Silence()
        results = collector(kind).collect(name, made.sources[name], made, self.lake, self.report)
        for result in results:
            assert result.balanced, result
        return results

    def one(self, kind: str, path: str = "*", name: str = "one", **source: Any) -> LoadResult:
        (result,) = self.collect(kind, path, name, **source)
        return result

    def rows(self, table: Table, order: str = "all") -> list[dict[str, Any]]:
        return self.query(table, f"select * from lake.{table.name} order by {order}")

    def query(self, table: Table, sql: str) -> list[dict[str, Any]]:
        with duckdb.connect() as con:
            self.lake.view(con, table)
            answer = con.sql(sql)
            return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]

    def rejects(self) -> list[tuple[int, str]]:
        return [(row["line"], row["reason"]) for row in self.rows(REJECTS, "line")]


def collector(kind: str) -> Collector:
    """The collector of `kind`, without an installed project."""
    return cast("Collector", importlib.import_module(f"collectors.{kind}").COLLECTOR)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
