"""Takes what the agent spooled to the lake, or as files to an inbox from which `farthing collect` fetches it.

Each run is a process of its own: what Delta and DuckDB need of memory goes when it ends, and the sampler stays small.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from collectors.segments import Segments, prepared
from farthing.agent import inventory, outbox
from farthing.agent.metadata import Machine
from farthing.agent.outbox import Batch
from farthing.commit_points import reached
from farthing.durable import replace_file
from farthing.errors import ConfigError, SourceError
from farthing.lake import Lake
from farthing.lake.schemas import GPU_INVENTORY, GPU_USAGE, TIME
from farthing.lake.views import quoted, text
from farthing.objects import is_url, open_store, unreachable

INBOX = "inbox:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: x_source of rows that nodes write into the lake themselves.
SOURCE = "agent"


@dataclass(frozen=True)
class Shipped:
    """What one batch came to: read = landed + duplicate + rejected. `again`: it had arrived before."""

    number: int
    segments: int
    read: int = 0
    landed: int = 0
    duplicate: int = 0
    rejected: int = 0
    again: bool = False


class ToLake:
    """Straight into the lake's table: one commit for each batch."""

    def __init__(self, lake: Lake, node: str) -> None:
        self._lake, self._node = lake, _named(node)

    def __str__(self) -> str:
        return self._lake.path

    def ready(self, spool: str) -> None:
        """See that the lake answers, before a batch is made: until then the spool may still be made smaller.

        Raises:
            SourceError: it does not.
        """
        self._lake.committed(GPU_USAGE, self._writer(spool))

    def arrived(self, batch: Batch) -> bool:
        """Whether the lake has it, as any other reader sees it."""
        return self._lake.committed(GPU_USAGE, self._writer(batch.spool)) >= batch.number

    def put(self, batch: Batch, found: Segments) -> None:
        """Commit its rows; a second time nothing happens."""
        self._lake.append(GPU_USAGE, found.rows, load=self._writer(batch.spool), number=batch.number)

    def history(self) -> list[dict[str, Any]]:
        """The node's rows of gpu_inventory as the lake has them."""
        if self._lake.version(GPU_INVENTORY) is None:
            return []
        with duckdb.connect() as con:
            self._lake.view(con, GPU_INVENTORY)
            return _histories(con, f"lake.gpu_inventory where {_equals(self._inventory)}")

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Put `rows` in the place of the node's rows of gpu_inventory."""
        made = [{**_typed(row), **self._inventory} for row in rows]
        self._lake.replace(GPU_INVENTORY, _inventory_table(made, GPU_INVENTORY.columns), where=self._inventory)

    @property
    def _inventory(self) -> dict[str, str]:
        return {"x_source": SOURCE, "x_load": f"{GPU_INVENTORY.name}/{self._node}"}

    def _writer(self, spool: str) -> str:
        return f"gpu/{self._node}/{spool}"


class ToInbox:
    """As a Parquet file for each batch, below `place`: a folder, or s3://, gs://, az://."""

    def __init__(self, place: str, node: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._place, self._node, self._options = place.rstrip("/"), _named(node), storage_options or {}
        self._put: set[int] = set()

    def __str__(self) -> str:
        return INBOX + self._place

    def ready(self, spool: str) -> None:
        """An inbox may let nodes write and nothing else: whether it answers is seen when it is written to."""

    def arrived(self, batch: Batch) -> bool:
        """Whether its file is there; where a node may not look, whether the store has acknowledged it in this run."""
        if not is_url(self._place):
            return Path(self._place, self._key(batch)).is_file()
        try:
            obstore.head(self._store(), self._key(batch))
        except FileNotFoundError:
            return False
        except (PermissionDeniedError, UnauthenticatedError):
            return batch.number in self._put
        except BaseError as error:
            raise unreachable(self._place, error) from error
        return True

    def put(self, batch: Batch, found: Segments) -> None:
        """Write the file, unless it is there: then it is of the same batch, for nobody else has its name."""
        with TemporaryDirectory(prefix="farthing-ship-") as folder:
            path = _parquet(found, Path(folder) / "rows.parquet")
            if is_url(self._place):
                self._send(path, self._key(batch))
            else:
                _copied(path, Path(self._place, self._key(batch)))
        self._put.add(batch.number)

    def history(self) -> list[dict[str, Any]]:
        """The node's rows of gpu_inventory as the inbox has them.

        Raises:
            SourceError: it cannot be seen what is there.
        """
        with TemporaryDirectory(prefix="farthing-ship-") as folder:
            path = Path(self._place, self._inventory)
            if is_url(self._place):
                path = Path(folder) / "inventory.parquet"
                try:
                    path.write_bytes(obstore.get(self._store(), self._inventory).bytes())
                except FileNotFoundError:
                    return []
                except BaseError as error:
                    raise unreachable(f"{self._place}/{self._inventory}", error) from error
            if not path.is_file():
                return []
            with duckdb.connect() as con:
                con.execute("set TimeZone = 'UTC'")
                return _histories(con, f"read_parquet({text(path)})")

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the node's file of kind `gpu_inventory`."""
        columns = [name for name in GPU_INVENTORY.columns if not name.startswith("x_")]
        with TemporaryDirectory(prefix="farthing-ship-") as folder:
            path = Path(folder) / "rows.parquet"
            pq.write_table(_inventory_table([_typed(row) for row in rows], columns), path)
            if is_url(self._place):
                try:
                    obstore.put(self._store(), self._inventory, path)
                except (BaseError, FileNotFoundError) as error:
                    raise unreachable(f"{self._place}/{self._inventory}", error) from error
            else:
                _copied(path, Path(self._place, self._inventory))

    @property
    def _inventory(self) -> str:
        return f"{GPU_INVENTORY.name}/{self._node}.parquet"

    def _send(self, path: Path, key: str) -> None:
        store = self._store()
        try:
            try:
                obstore.put(store, key, path, mode="create", use_multipart=False)
            except NotSupportedError:  # a store that cannot refuse to overwrite: the same rows, once more
                obstore.put(store, key, path)
        except AlreadyExistsError:
            pass
        except (BaseError, FileNotFoundError) as error:
            raise unreachable(self._place, error) from error

    def _store(self) -> obstore.store.ObjectStore:
        return open_store(self._place, self._options)

    def _key(self, batch: Batch) -> str:
        return f"{GPU_USAGE.name}/{self._node}/{batch.spool}-{batch.number:09}.parquet"


def target(to: str, node: str, storage_options: Mapping[str, str] | None = None) -> ToLake | ToInbox:
    """Where `to` says: `inbox:PLACE` an inbox, anything else a lake.

    Raises:
        ConfigError: nothing is said.
    """
    place = to.removeprefix(INBOX)
    if not place:
        raise ConfigError("names no place.", file="--to", fix="--to s3://bucket/lake, or --to inbox:s3://bucket/inbox.")
    if to.startswith(INBOX):
        return ToInbox(place, node, storage_options)
    return ToLake(Lake(place, storage_options), node)


def ship(spool: Path, to: ToLake | ToInbox) -> list[Shipped]:
    """Ship all sealed segments of `spool`; each is deleted only after it was seen at the other end.

    Run it as often as you like, kill it anywhere: each row arrives once.

    Raises:
        BusyError: another process ships this spool.
        SourceError: lake or inbox does not answer; everything stays in the spool.
        ConfigError: the spool cannot be used.
    """
    with outbox.shipping(spool), _room(spool):
        shipped = [_deliver(spool, batch, to) for batch in outbox.pending(spool)]  # of a run that was stopped
        to.ready(outbox.spool_name(spool))
        while (taken := outbox.taken(spool)) is not None:
            shipped.append(_deliver(spool, taken, to))
    return shipped


def ship_inventory(spool: Path, to: ToLake | ToInbox, ask: Callable[[], Machine | None]) -> int | None:
    """Bring the node's rows of gpu_inventory up to date where telemetry goes; their number, None when nothing changed.

    Raises:
        SourceError: lake, inbox or the cloud's metadata do not answer.
        ConfigError: a file of the spool is damaged.
    """
    told = inventory.node(spool)
    if told is None:
        return None
    with outbox.shipping(spool), _room(spool):
        history = inventory.known(spool)
        if history is None:
            history = to.history()
        machine = inventory.machine_now(ask, history, told["node_id"])
        rows = inventory.brought_up(history, told, machine)
        if not rows or inventory.written(spool, str(to)) == inventory.fingerprint(rows):
            return None
        to.write_history(rows)
        inventory.keep(spool, rows, str(to))
    return len(rows)


def _named(node: str) -> str:
    """`node`, which is a part of names in the lake and the inbox."""
    if not _NAME.fullmatch(node):
        raise ConfigError(
            f"'{node}' is no name of a node.", file="--node", fix="letters, digits, dots, hyphens and underscores."
        )
    return node


@contextmanager
def _room(spool: Path) -> Iterator[None]:
    """What the disk refuses is said in words; nothing is deleted before it has arrived, so nothing is lost."""
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        raise SourceError(
            " ".join(str(error).split())[:400],
            source=str(spool),
            fix="make room on the disk (also for temporary files), and run as the user of the agent.",
        ) from error


def _histories(con: duckdb.DuckDBPyConnection, source: str) -> list[dict[str, Any]]:
    """Rows of gpu_inventory as the spool keeps them; `con` is in UTC."""
    names = [*inventory.FACTS, "valid_from", "valid_to"]
    columns = [f"{name}::timestamp" if name.startswith("valid") else quoted(name) for name in names]
    told = con.execute(f"select {', '.join(columns)} from {source} order by valid_from, gpu_uuid").fetchall()
    return [
        {
            name: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in told
    ]


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: row[name] and datetime.fromisoformat(row[name]) for name in ("valid_from", "valid_to")}
    return {**row, **times}


def _inventory_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    schema = pa.schema([GPU_INVENTORY.schema.field(name) for name in columns])
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def _equals(where: Mapping[str, str]) -> str:
    return " and ".join(f"{quoted(name)} = {text(value)}" for name, value in where.items())


def _deliver(spool: Path, batch: Batch, to: ToLake | ToInbox) -> Shipped:
    segments = batch.segments
    if to.arrived(batch):
        result = Shipped(batch.number, len(segments), again=True)
    else:
        load = f"{batch.spool}-{batch.number:09}"
        with prepared(segments, source=SOURCE, load=load) as found:
            _keep_refused(outbox.refused_file(spool, batch), found)
            reached("ship.put.before")
            to.put(batch, found)
            reached("ship.put.after")
            result = Shipped(batch.number, len(segments), found.read, found.landed, found.duplicate, len(found.refused))
        if not to.arrived(batch):
            raise SourceError(
                "what was just written cannot be read back; it stays in the spool.",
                source=str(to),
                fix="run the command again; look for another process that deletes there.",
            )
    reached("ship.seen")
    batch.forget()
    return result


def _keep_refused(path: Path, found: Segments) -> None:
    """Lines that are no rows stay on the node, with the reason: nothing is dropped in silence."""
    if found.refused:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"reason": one.reason, "line": one.text}) + "\n" for one in found.refused)
            file.flush()
            os.fsync(file.fileno())


def _parquet(found: Segments, path: Path) -> Path:
    """The rows as a file that kind `gpu_usage` reads: without where they come from, times with their zone."""
    columns = ", ".join(
        f"timezone('UTC', {quoted(field.name)}) as {quoted(field.name)}" if field.type == TIME else quoted(field.name)
        for field in GPU_USAGE.schema
        if field.name not in ("day", "x_source", "x_load")
    )
    found.rows.con.execute(
        f"copy (select {columns} from ({found.rows.sql}) order by gpu_uuid, started_at) to {text(path)} "
        "(format parquet, compression zstd)"
    )
    return path


def _copied(path: Path, target: Path) -> None:
    """A copy of `path` that appears under its name only when it is whole and on disk."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, path.read_bytes(), target.with_suffix(f".{os.getpid()}.part"))
    except OSError as error:
        raise SourceError(
            f"cannot be written: {error.strerror or error}.",
            source=str(target.parent),
            fix="check who may write there.",
        ) from error
