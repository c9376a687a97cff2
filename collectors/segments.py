"""A node's spooled telemetry made ready for the lake: the same rules as for any file of kind `gpu_usage`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from collectors.delivery import Delivery
from collectors.gpu_usage import KIND
from collectors.lines import RAW_LIMIT_BYTES, UnreadableError
from collectors.raw import ROWS_APART
from collectors.values import literal, quoted, sql_type
from farthing.config import Source
from farthing.errors import ConfigError
from farthing.lake import Query
from farthing.locks import scratch
from farthing.objects import Found

_MEMORY = "100MB"  # the agent and its child share what the service may use
_THREADS = 2


@dataclass(frozen=True)
class Refused:
    """A line that is no row of gpu_usage, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Segments:
    """Spooled rows: `rows` are those that land, with all columns of the table; read = landed + duplicate + rejected."""

    rows: Query
    read: int
    landed: int
    duplicate: int
    refused: list[Refused]


@contextmanager
def prepared(segments: Sequence[Path], *, source: str, load: str) -> Iterator[Segments]:
    """The rows of `segments`, with `source` and `load` as their x_source and x_load.

    Of rows with one key the last counts. Nothing of the lake is read.
    """
    with scratch() as folder, duckdb.connect() as stage:
        stage.execute(f"set TimeZone = 'UTC'; set memory_limit = '{_MEMORY}'; set threads = {_THREADS}")
        stage.execute(f"set temp_directory = {literal(str(folder))}")
        stage.execute("set python_enable_replacements = false")
        path = _joined(segments, folder / "segments.jsonl")
        settings = Source(kind="gpu_usage", format="jsonl", timezone="UTC")
        found = Found(str(path), load, path.stat().st_size, load)
        delivery = Delivery(KIND, source, settings, None, None, stage, folder, found)
        try:
            delivery.stage_rows(path)
        except (ConfigError, UnreadableError) as error:  # nothing in it is a row, and it is kept all the same
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            refused = [Refused(line[:RAW_LIMIT_BYTES], str(error)) for line in lines if line.strip()]
            nothing = ", ".join(f"null::{sql_type(one.type)} as {quoted(one.name)}" for one in KIND.table.schema)
            yield Segments(Query(stage, f"select {nothing} limit 0"), len(refused), 0, 0, refused)
            return
        key = ", ".join(quoted(name) for name in KIND.duplicate_key(settings))
        last = f"qualify row_number() over (partition by {key} order by _line desc) = 1"
        stage.execute(f"create table landing as select * exclude (_line) from ({delivery.landing_sql()} {last})")
        [(read, rejected)] = stage.execute(
            "select count(*), count(*) filter (where _reason is not null) from staged"
        ).fetchall()
        [(landed,)] = stage.execute("select count(*) from landing").fetchall()
        told = stage.execute(
            f"select _raw, _reason from staged where _reason is not null order by abs(_line) % {ROWS_APART}, _line"
        ).fetchall()
        refused = [Refused(text or "", reason) for text, reason in told]
        yield Segments(Query(stage, "from landing"), read, landed, read - landed - rejected, refused)


def _joined(segments: Sequence[Path], target: Path) -> Path:
    """All segments in one file; one that ends in the middle of a line spoils no line of the next."""
    with target.open("wb") as file:
        for segment in segments:
            with segment.open("rb") as part:
                shutil.copyfileobj(part, file)
            if file.tell():
                file.write(b"\n")
    return target
