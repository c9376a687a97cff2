"""The published warehouse as pages read it: resolved anew on every run, its results kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import streamlit as st

from farthing import config as configuration
from farthing.config import Config
from farthing.warehouse import open_warehouse

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """One published state of the ledger: the file, and the configuration of its project."""

    config: Config
    file: str
    con: duckdb.DuckDBPyConnection

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """The rows of `sql`, by column, whose `$names` are `parameters`; asked once for each published file."""
        columns, values = _result(self.file, sql, parameters, self.con)
        return [dict(zip(columns, row, strict=True)) for row in values]

    def one(self, sql: str, **parameters: object) -> Row:
        """The only row of `sql`."""
        [row] = self.rows(sql, **parameters)
        return row


def project_folder() -> Path:
    """The project that is shown: FARTHING_PROJECT, else the current folder."""
    return Path(os.environ.get("FARTHING_PROJECT") or ".").resolve()


@contextmanager
def published() -> Iterator[Published]:
    """What is published now. All that one run of a page shows comes from this one file.

    Raises:
        ConfigError: there is no project, or nothing is published (`WarehouseMissingError`).
    """
    config = configuration.load(project_folder())
    con = open_warehouse(config)
    try:
        [(file,)] = con.execute("select path from duckdb_databases() where not internal").fetchall()
        yield Published(config, file, con)
    finally:
        con.close()


@st.cache_data(max_entries=500, show_spinner=False)
def _result(
    file: str,  # noqa: ARG001 a newer publish has another name: the key is made of it, and not of `_con`
    sql: str,
    parameters: Mapping[str, object],
    _con: duckdb.DuckDBPyConnection,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor = _con.cursor().execute(sql, parameters or None)
    return [column[0] for column in cursor.description or ()], cursor.fetchall()
