"""The one place that opens the published warehouse: read-only, with no access to anything outside the file."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import duckdb

from farthing.config import Config
from farthing.errors import ConfigError

#: The file in the warehouse folder that names the published database; it is replaced, never written to.
POINTER = "CURRENT"
_ATTEMPTS = 5
_OPENING = threading.Lock()


class WarehouseMissingError(ConfigError):
    """Nothing has been published yet."""


def current(folder: Path) -> Path | None:
    """The published database in `folder`; None before the first publish."""
    try:
        path = folder / (folder / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return path if path.is_file() else None


def open_warehouse(config: Config) -> duckdb.DuckDBPyConnection:
    """A read-only connection to what is published now; it keeps showing that state while newer ones are published.

    Raises:
        WarehouseMissingError: nothing is published.
    """
    folder = Path(config.warehouse_path)
    for attempt in range(_ATTEMPTS):
        path = current(folder)
        if path is not None:
            try:
                return _open(path)
            except duckdb.IOException:
                # The file was pruned between reading its name and opening it: the pointer names a newer one by now.
                if attempt == _ATTEMPTS - 1:
                    raise
        time.sleep(0.05 * attempt)
    raise WarehouseMissingError(
        "no warehouse is published yet.", file=folder, fix="run `farthing collect` and `farthing build`."
    )


def dictionary(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, str]]:
    """(table, column, type, meaning) of every column in the warehouse; meaning is empty where none is written down."""
    return con.execute(
        "select table_name, column_name, data_type, coalesce(comment, '') from duckdb_columns()"
        " where not internal order by table_name, column_index"
    ).fetchall()


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    with _OPENING:
        con = duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})
        [(locked,)] = con.execute("select current_setting('lock_configuration')").fetchall()
        if not locked:  # connections of one process to one file share its settings: the first one makes them
            con.execute("set global TimeZone = 'UTC'")
            con.execute("set enable_progress_bar = false")  # it is drawn on standard output, amid the answer
            con.execute("set lock_configuration = true")
    return con
