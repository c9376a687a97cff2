"""Many small files that never landed before, on their way into the lake in the commits of one: an inbox of nodes.

Each keeps its own line in `loads` and its own `x_load`, so that afterwards each is a file as any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from collectors.delivery import Delivery
from collectors.kind import Deliverable, Kind, LoadResult, Report
from collectors.lines import UnreadableError
from collectors.raw import LINE, ROWS_APART
from collectors.values import literal, quoted
from farthing import clock
from farthing.config import Source
from farthing.lake import Lake


class Gathered(Delivery):
    """Parquet files on their way into the lake together."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        source: Source,
        lake: Lake,
        report: Report | None,
        stage: duckdb.DuckDBPyConnection,
        folder: Path,
        files: Sequence[Deliverable],
    ) -> None:
        together = _Together(tuple(files))
        super().__init__(kind, name, source, lake, report, stage, folder, together)
        self.x_loads = [one.name for one in files]
        self._identities = {
            one.name: Delivery(kind, name, source, lake, None, stage, folder, one).identity for one in files
        }

    def land_together(self) -> list[LoadResult]:
        """The result of each file; none where one of them cannot be read: then each is for itself."""
        load = f"{self.name}:{self.x_load}:{self.identity}"
        try:
            path = self.file.fetch(self._folder)
        except UnreadableError:
            return []
        self._stage.execute("create or replace table gathered (place bigint, x_load varchar)")
        self._stage.executemany("insert into gathered values (?, ?)", list(enumerate(self.x_loads)))
        self.stage_rows(path)
        self._drop_repeated(yields=False)
        self._commit_rejects()
        self._commit_rows(load)
        results = self._results()
        self._write_loads([(one, self._identities[one.file]) for one in results], clock.now(), load)
        return results

    @property
    def _x_load_sql(self) -> str:
        return f"(select x_load from gathered where place = abs(_line) // {ROWS_APART})"

    def _results(self) -> list[LoadResult]:
        """The equation of each file."""
        counts = self._stage.execute(
            "select x_load, count(_line), count(_line) filter (where _reason is not null), "
            "count(_line) filter (where _line in (from repeated)) "
            f"from gathered left join staged on place = _line // {ROWS_APART} group by place, x_load order by place"
        ).fetchall()
        return [
            LoadResult(
                self.name, self.table.name, x_load, "landed", read, read - rejected - repeated, repeated, rejected
            )
            for x_load, read, rejected, repeated in counts
        ]


@dataclass(frozen=True)
class _Together:
    """The files as one, with the place of each in the numbers of its lines."""

    files: tuple[Deliverable, ...]
    form: str = ""

    @property
    def name(self) -> str:
        return f"{len(self.files)} files from {self.files[0].name}"

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)

    @cached_property
    def identity(self) -> str:
        told = "\n".join(f"{one.name} {one.identity}" for one in self.files)
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def fetch(self, folder: Path) -> Path:
        """All rows in one file.

        Raises:
            UnreadableError: one of them is damaged, or they do not fit together.
        """
        places = {str(one.fetch(folder)): place for place, one in enumerate(self.files)}
        target = folder / f"{self.identity}.parquet"
        with duckdb.connect() as con:
            try:
                con.execute("create table places (path varchar, place bigint)")
                con.executemany("insert into places values (?, ?)", list(places.items()))
                paths = ", ".join(map(literal, places))
                con.execute(
                    f"copy (select rows.* exclude (filename, file_row_number), "
                    f"place * {ROWS_APART} + file_row_number + 1 as {quoted(LINE)} "
                    f"from read_parquet([{paths}], union_by_name = true, file_row_number = true, filename = true) rows "
                    f"join places on filename = path) to {literal(str(target))} (format parquet)"
                )
            except duckdb.Error as error:
                raise UnreadableError(str(error).splitlines()[0]) from error
        return target
