"""What one kind of source is made of, and what became of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from collectors.mapping import ColumnMap, Dialect
from farthing.config import Source
from farthing.lake.schemas import Table

#: Settings of a source that say what to reach, and how, but not how to read it; each kind takes some.
REACHING = frozenset(
    {"path", "export", "catalogue", "endpoint", "region", "since", "key_env", "maximum_bytes_billed"}
    | {"exporter", "select"}  # they are in the identity of what a server is asked for
)


class Report(Protocol):
    """Who is told how far a collection is: a progress bar, plain lines, or nobody."""

    def start(self, total_files: int, total_bytes: int) -> None:
        """`total_files` files of together `total_bytes` bytes are ahead."""

    def advance(self, done_bytes: int) -> None:
        """`done_bytes` more bytes are done."""

    def message(self, text: str) -> None:
        """A line for the person who waits."""


class Deliverable(Protocol):
    """What lands as a whole and is replaced as a whole: a file, or a month of an export."""

    @property
    def name(self) -> str:
        """Its name for people, and the `x_load` of its rows."""

    @property
    def size(self) -> int:
        """Its size in bytes, as far as that is known."""

    @property
    def identity(self) -> str:
        """What tells one content from another."""

    @property
    def form(self) -> str:
        """What its provider calls it, for example CUR 2.0; empty for a plain file."""

    def fetch(self, folder: Path) -> Path:
        """A file on this machine with its rows; what must be made for that is made below `folder`.

        Raises:
            UnreadableError: it is damaged or incomplete.
            SourceError: it cannot be reached.
        """


class OfFile:
    """A delivery that is made of one file, and goes by the file's name, size and identity."""

    file: Deliverable

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.file.size

    @property
    def identity(self) -> str:
        """That of the file."""
        return self.file.identity


@dataclass(frozen=True)
class LoadResult:
    """What became of one file: the equation of its rows, and what rounding to 12 decimals took, per currency.

    Lines that the format has for something else stand `aside`: they are none of the rows read.
    """

    source: str
    table: str
    file: str
    status: str  # landed | failed | unchanged; in `loads` also recalled
    read: int = 0
    landed: int = 0
    duplicate: int = 0
    rejected: int = 0
    aside: int = 0
    problem: str = ""
    form: str = ""
    rounding: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read == self.landed + self.duplicate + self.rejected


@dataclass(frozen=True)
class Total:
    """What a provider itself says that an account's month came to, in `currency`: its own sum, to hold a bill against.

    `column` is the FOCUS column that `account` stands in; `amortised` has commitments spread over their use. A month
    that is `open` may still grow.
    """

    column: str
    account: str
    currency: str
    billed: Decimal
    amortised: Decimal | None = None
    invoice: str | None = None  # of one invoice; null: of the whole month
    open: bool = False


@dataclass(frozen=True)
class Row:
    """What a kind may build its SQL from: the source, the file's name, its columns and the row's own text."""

    source: Source
    x_load: str
    mapped: frozenset[str]
    map: ColumnMap


#: The reason of a line that is no row; it is no reject.
ASIDE = "~aside"
#: (condition that is true for a bad row, its reason), both SQL over the typed columns.
Check = tuple[str, str]


@dataclass(frozen=True)
class Kind:
    """One kind of source: its dialect, and the SQL that makes and judges its rows."""

    dialect: Dialect
    needed: Callable[[Source], Sequence[str]]  # columns that the file must give
    prepared: Callable[[Row], Mapping[str, str]] = lambda _: {}  # what a format's own columns say in ours
    derived: Callable[[Row], Mapping[str, str]] = lambda _: {}
    aside: Callable[[Row], str] = lambda _: ""  # true for a line that is none of the table's rows by its nature
    checks: Callable[[Row], Sequence[Check]] = lambda _: ()
    finish: Callable[[Source], Sequence[str]] = lambda _: ()  # statements over `staged`, when all rows are in
    beside: Callable[[Deliverable, Path], pa.Table | None] = lambda _file, _folder: None  # `beside`, for `finish`
    key: Callable[[Source], Sequence[str]] | None = None  # of a duplicate, when it is not the table's key
    wins: tuple[str, ...] = ()  # of two rows with a key, the one with the greater values lands, else the later one
    rounding: Callable[[Source], tuple[str, str]] | None = None  # (currency, what rounding took), over `staged`
    demand: Callable[[str, Row], None] = lambda _name, _row: None  # raises ConfigError for a setting that is missing
    said: tuple[str, ...] = ()  # columns of a rejected row that are kept with it, as far as they could be read
    spec: str = ""  # whose columns these are, when a missing one is theirs to deliver

    @property
    def table(self) -> Table:
        """The lake table that this kind fills."""
        return self.dialect.table

    def duplicate_key(self, source: Source) -> tuple[str, ...]:
        """The columns whose values two rows may not share; none for charges."""
        key = self.key(source) if self.key else self.table.key
        return tuple(name for name in key if name != "x_source")
