"""Bills in a provider's own form: what it replaces as a whole, read by polars and landed as FOCUS rows.

A collector of such bills gives `Statement`s; `read` turns the provider's columns into those of FOCUS, and columns that
FOCUS does not know (`x_...` or the provider's own names) are kept in `x_extra`. Rows then land by the rules of `focus`.
A frame may carry `LINE`, `RAW` and `PROBLEM` (collectors.raw): what is known of a row, or of a line that is none. Where
the provider puts two charges into one line, the second is a row with the same line as a negative number.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from collectors.combinations import PIECE_ROWS, Made, in_tables
from collectors.kind import Deliverable, OfFile
from collectors.lines import UnreadableError
from collectors.raw import LINE, PROBLEM, RAW, CsvFile, JsonFile, ParquetFile, open_file
from farthing.objects import Found, is_url

#: Rows with FOCUS columns: in one frame, or in pieces.
Pieces = pl.LazyFrame | Iterable[pl.LazyFrame | pa.Table]


@dataclass(frozen=True)
class Statement:
    """A bill that is landed and replaced as a whole: the month of an export, or a file that somebody downloaded.

    `read` is given a folder for what it must fetch, and gives rows with FOCUS columns, in one frame or in pieces;
    amounts are text or decimals where the source has them so, never rounded. `rows` is how many the provider says that
    there are.
    """

    name: str
    size: int
    identity: str
    form: str  # what the provider calls it, for people: "CUR 2.0"
    read: Callable[[Path], Pieces] = field(repr=False, compare=False)
    rows: int | None = None

    def fetch(self, folder: Path) -> Path:
        """Parquet with the rows in FOCUS columns, made once below `folder`: a folder of files, one for each piece.

        Raises:
            UnreadableError: a file is damaged or missing, or there are more or fewer rows than the provider says.
            SourceError: the provider cannot be reached.
        """
        mark = hashlib.sha256(f"{self.name}\n{self.identity}".encode()).hexdigest()[:16]
        target = folder / f"{mark}.parquet"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(dir=folder))
            try:
                _write_all(self.read(folder), making)
            except (pl.exceptions.PolarsError, pa.ArrowException) as error:
                raise UnreadableError(f"cannot be read as {self.form} ({str(error).splitlines()[0]})") from error
            making.rename(target)
        if self.rows is not None:
            found = pl.scan_parquet(target).select(pl.len()).collect().item()
            if found != self.rows:
                raise UnreadableError(f"the provider says {self.rows:,} rows and delivered {found:,}; not landed")
        return target


@dataclass
class Download(OfFile):
    """A file that somebody downloaded; what its provider calls it shows in its header, or when it is read."""

    kind_of_bill: ClassVar[str]  # what it is taken for before that, for people

    file: Deliverable

    @cached_property
    def form(self) -> str:
        """By its header; of a file in a store only when it is read, as it is not fetched to be listed."""
        if not isinstance(self.file, Found) or is_url(self.file.uri):
            return self.kind_of_bill
        return recognised(Path(self.file.uri), self.form_of) or f"no known {self.kind_of_bill}"

    def form_of(self, columns: Sequence[str]) -> str:
        """What its provider calls a file with these columns.

        Raises:
            UnreadableError: it is none of this provider's.
        """
        raise NotImplementedError

    def fetch(self, folder: Path) -> Path:
        """Parquet with the rows in FOCUS columns.

        Raises:
            UnreadableError: it is damaged, or no bill of this provider.
            SourceError: it cannot be reached.
        """
        return Statement(self.name, self.size, self.identity, self.kind_of_bill, self.read).fetch(folder)

    def read(self, folder: Path) -> Pieces:
        """The rows in FOCUS columns, in one frame or in pieces; `form` is known from now on."""
        raise NotImplementedError


def recognised(path: Path, form_of: Callable[[list[str]], str]) -> str | None:
    """What `form_of` calls a file with the columns of that at `path`; None where it does not know them."""
    try:
        return form_of(header_of(path))
    except (UnreadableError, OSError):  # said when it is read
        return None


def header_of(path: Path) -> list[str]:
    """The columns of a file; what is inside a struct of Parquet has a dotted name beside it.

    Raises:
        UnreadableError: it is no table, or damaged at its beginning.
    """
    file = open_file(path)
    if not isinstance(file, ParquetFile):
        return file.columns
    return [
        name for column, kind in pl.scan_parquet(path).collect_schema().items() for name in _with_fields(column, kind)
    ]


def _with_fields(name: str, kind: pl.DataType) -> list[str]:
    if not isinstance(kind, pl.Struct):
        return [name]
    inside = [_with_fields(f"{name}.{one.name}", one.dtype) for one in kind.fields]  # type: ignore[arg-type]
    return [name, *(inner for names in inside for inner in names)]


def in_pieces(made: Sequence[Made], files: Sequence[Path]) -> Iterator[pl.LazyFrame | pa.Table]:
    """The rows of `made`, so many at a time that memory stays bounded; `files` are those that they are made of."""
    tables = in_tables(made, files)
    if tables is not None:
        yield from tables
        return
    for rows in (one.frame for one in made):
        count = rows.select(pl.len()).collect().item()
        for start in range(0, max(count, 1), PIECE_ROWS):
            yield rows.slice(start, PIECE_ROWS)


def _write_all(pieces: Pieces, folder: Path) -> None:
    """Each piece as a file of its own, written while the next one is made."""
    with ThreadPoolExecutor(1) as beside:
        written: Future[None] | None = None
        for number, piece in enumerate([pieces] if isinstance(pieces, pl.LazyFrame) else pieces):
            if written:
                written.result()  # no more than one waits
            written = beside.submit(_write, piece, folder / f"{number:06}.parquet")
        if written:
            written.result()


def _write(piece: pl.LazyFrame | pa.Table, path: Path) -> None:
    if isinstance(piece, pl.LazyFrame):
        piece.sink_parquet(path, compression="lz4", statistics=False)
    else:
        pq.write_table(piece, path, compression="lz4", write_statistics=False, store_schema=False)


def in_parquet(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Files with the provider's own columns as Parquet: CSV and JSON as text, with `LINE`, `RAW` and `PROBLEM`.

    Raises:
        UnreadableError: a file is empty, of an unknown format, or damaged at its beginning.
    """
    files = []
    for number, path in enumerate(paths):
        file = open_file(path)
        if isinstance(file, ParquetFile):
            files.append(path)
        else:
            files.append(_text_rows(file, folder / f"{number}-{path.name}.rows.parquet"))
    return files


def rows_of(paths: Sequence[Path], folder: Path) -> pl.LazyFrame:
    """The rows of files with the provider's own columns, one after the other; columns that only some have are null.

    CSV gives text, so does JSON (what is nested is JSON text), Parquet its own types. `LINE` counts from 1, over all
    files; a damaged line has `RAW` and `PROBLEM` and nothing else.

    Raises:
        UnreadableError: a file is empty, of an unknown format, or damaged at its beginning.
    """
    together = pl.concat(map(pl.scan_parquet, in_parquet(paths, folder)), how="diagonal_relaxed")
    if LINE not in together.collect_schema():  # Parquet alone: a row's number is its line
        return together.with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64))
    if len(paths) > 1:
        return together.drop(LINE).with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64))
    return together


def _text_rows(file: CsvFile | JsonFile, target: Path) -> Path:
    """All rows of a text file as text in a Parquet file, lines that are no rows with the reason."""
    names = file.columns if isinstance(file, CsvFile) else file.keys()
    if not names:
        raise UnreadableError("it has no JSON object, so that nothing tells what it is")
    target.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [(LINE, pa.int64()), (RAW, pa.string()), (PROBLEM, pa.string()), *((name, pa.string()) for name in names)]
    )
    with pq.ParquetWriter(target, schema, compression="lz4") as writer:
        for batch in file.batches(names):
            count = batch.table.num_rows
            columns = [batch.table[f"f{number}"] for number in range(len(names))]
            nothing = pa.nulls(count, pa.string())
            writer.write_table(pa.table([batch.table["_line"], nothing, nothing, *columns], schema=schema))
            if batch.broken:
                lines, raws, reasons = zip(*((one.line, one.raw, one.reason) for one in batch.broken), strict=True)
                blank = [pa.nulls(len(lines), pa.string())] * len(names)
                writer.write_table(pa.table([list(lines), list(raws), list(reasons), *blank], schema=schema))
    return target
