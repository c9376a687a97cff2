"""Writes the days that a build has computed to the lake, several small days in one commit of each table."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from farthing import __version__, clock
from farthing.lake import Lake
from farthing.lake.schemas import BUILD_DAYS, BUILT, REQUEST_COSTS, Table

#: Rows that wait for a commit at most, and the size of a piece of a day that is bigger.
_ROWS_WAITING = 500_000
ROWS_IN_A_PIECE = 500_000


@dataclass(frozen=True)
class Finished:
    """Days computed and checked: their rows by table, and what requests cost, if that is wanted, piece by piece.

    `stamps` has for each day the fingerprint of what it was made from, and the laws that it took from earlier days.
    """

    stamps: Mapping[date, tuple[str, str]]
    rows: Mapping[Table, pa.Table]
    request_costs: pa.RecordBatchReader | None


class Outputs:
    """Days computed and not yet written.

    The row of build_days is emptied before any other row of its day is written, and filled after the last. Else the
    rows of a killed build would stay when inputs and rules return to what they were.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._days: list[date] = []
        self._waiting: dict[Table, list[pa.Table]] = {}
        self._rows = 0

    def take(self, finished: Finished) -> None:
        """Take over finished days; they are written soon, or now when they are big."""
        days = list(finished.stamps)
        written = self._take_request_costs(days, finished.request_costs)
        self._days += days
        for table, rows in finished.rows.items():
            self._wait(table, rows)
        stamps = [
            {
                "day": day,
                "fingerprint": mark,
                "inherited_laws": inherited,
                "built_at": clock.now(),
                "version": __version__,
            }
            for day, (mark, inherited) in finished.stamps.items()
        ]
        self._wait(BUILD_DAYS, pa.Table.from_pylist(stamps, schema=BUILD_DAYS.schema))
        # Days whose request costs are written already are finished alone: a flush with others would replace them.
        if written or self._rows > _ROWS_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write all waiting days."""
        if not self._days:
            return
        self._begin(self._days)
        for table in (*BUILT, BUILD_DAYS):
            pieces = self._waiting.get(table)
            if pieces is not None:
                self._lake.replace(table, pa.concat_tables(pieces), where={"day": list(self._days)})
        self._days, self._waiting, self._rows = [], {}, 0

    def remove(self, days: list[date]) -> None:
        """Take `days`, which no input speaks of any more, out of every table."""
        self.flush()
        if days:
            self._begin(days)
        for table in (*BUILT, BUILD_DAYS):
            if days and self._lake.version(table) is not None:
                self._lake.replace(table, table.schema.empty_table(), where={"day": list(days)})

    def _begin(self, days: list[date]) -> None:
        """Take back that `days` are built, before the first of their rows changes."""
        emptied = pa.Table.from_pylist([{"day": day} for day in days], schema=BUILD_DAYS.schema)
        self._lake.replace(BUILD_DAYS, emptied, where={"day": list(days)})

    def _take_request_costs(self, days: list[date], reader: pa.RecordBatchReader | None) -> bool:
        """Wait with the days' request costs, or write them piece by piece where they are many: whether it wrote."""
        if reader is None:
            self._wait(REQUEST_COSTS, REQUEST_COSTS.schema.empty_table())
            return False
        written = False
        piece = self._next(reader)
        following = self._next(reader)
        while following is not None and piece is not None:
            # Too big for one piece: the days' rows are replaced by the first and followed by the others.
            if written:
                self._lake.append(REQUEST_COSTS, piece, load=f"build:{uuid.uuid4()}")
            else:
                self.flush()
                self._begin(days)
                self._lake.replace(REQUEST_COSTS, piece, where={"day": list(days)})
            written = True
            piece, following = following, self._next(reader)
        if written and piece is not None:
            self._lake.append(REQUEST_COSTS, piece, load=f"build:{uuid.uuid4()}")
        else:
            self._wait(REQUEST_COSTS, REQUEST_COSTS.schema.empty_table() if piece is None else piece)
        return written

    def _next(self, reader: pa.RecordBatchReader) -> pa.Table | None:
        batches = []
        rows = 0
        while rows < ROWS_IN_A_PIECE:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            batches.append(batch)
            rows += batch.num_rows
        return pa.Table.from_batches(batches) if rows else None

    def _wait(self, table: Table, rows: pa.Table) -> None:
        # Times leave DuckDB without a zone; those of a build are UTC.
        self._waiting.setdefault(table, []).append(rows.cast(table.schema) if rows.schema != table.schema else rows)
        self._rows += rows.num_rows
