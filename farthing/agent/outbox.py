"""What of a spool is on its way: batches of sealed segments with a number each, deleted only once they have arrived.

In the spool lie `*.open` (being written) and `*.jsonl` (sealed, not yet taken); in `outbox/` a folder for each batch,
called by its number. A batch never changes, so its number stands for its rows: what is told that number twice takes it
once. The name of the spool is part of it, for a node that lost its disk begins to count anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from farthing.durable import replace_file, sync
from farthing.errors import ConfigError, FarthingError

#: What one batch holds at most, so that the child that ships it needs little memory even after weeks.
BATCH_BYTES = 8 << 20
_LOCK, _SHIPPING = ".lock", ".shipping"
_OUTBOX, _FILLING, _COUNTER = "outbox", "filling", "counter.json"
_STAMP = "%Y%m%dT%H%M%SZ"


class BusyError(FarthingError):
    """Another process ships this spool right now."""


@dataclass(frozen=True)
class Batch:
    """Sealed segments that travel together; `spool` and `number` name them for ever."""

    folder: Path
    spool: str
    number: int

    @property
    def segments(self) -> list[Path]:
        """Its segments, oldest first."""
        return sorted(self.folder.glob("*.jsonl"))

    def forget(self) -> None:
        """Delete it; to be called when its arrival was read back. May be stopped anywhere and called again."""
        for segment in self.segments:
            segment.unlink(missing_ok=True)
        self.folder.rmdir()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only process that takes, replaces or renames sealed segments of the spool `folder`; waits for another.

    Raises:
        ConfigError: the spool cannot be written.
    """
    with _opened(folder / _LOCK) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def shipping(folder: Path) -> Iterator[None]:
    """Be the only process that ships the spool `folder`.

    Raises:
        BusyError: another one does.
        ConfigError: the spool is not there, or cannot be written.
    """
    with _opened(folder / _SHIPPING) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{folder}: another process ships this spool right now; nothing was done.") from None
        yield


def pending(folder: Path) -> list[Batch]:
    """The batches of the spool `folder` that were made and not yet forgotten, oldest first."""
    spool, _ = _counted(folder)
    numbers = sorted(int(place.name) for place in (folder / _OUTBOX).glob("*") if place.name.isdigit())
    return [Batch(_place(folder, number), spool, number) for number in numbers]


def taken(folder: Path, limit_bytes: int = BATCH_BYTES) -> Batch | None:
    """Make a batch of the sealed segments, the oldest first, up to `limit_bytes` (one at least); None: there are none.

    To be called inside `shipping`. It is on disk before it is returned: after a loss of power no number stands for
    other rows than before.
    """
    outbox = folder / _OUTBOX
    filling = outbox / _FILLING
    with held(folder):
        filling.mkdir(parents=True, exist_ok=True)
        size = sum(segment.stat().st_size for segment in filling.glob("*.jsonl"))
        for segment in sealed(folder):
            if size and size + segment.stat().st_size > limit_bytes:
                break
            size += segment.stat().st_size
            segment.rename(_unused(filling / segment.name))
        if not any(filling.iterdir()):
            return None
        spool, last = _counted(folder)
        number = max([last, *(int(place.name) for place in outbox.glob("*") if place.name.isdigit())]) + 1
        _write(outbox / _COUNTER, {"spool": spool, "last": number})
        for place in (folder, filling):
            sync(place)
        filling.rename(_place(folder, number))
        sync(outbox)
    return Batch(_place(folder, number), spool, number)


def sealed(folder: Path) -> list[Path]:
    """The segments of the spool `folder` that are complete and in no batch, oldest first."""
    return sorted(folder.glob("*.jsonl"))


def waiting(folder: Path) -> list[Path]:
    """Everything of the spool `folder` that is not shipped, oldest first: open, sealed and in batches."""
    found = [*folder.glob("*.open"), *folder.glob("*.jsonl"), *(folder / _OUTBOX).glob("*/*.jsonl")]
    return sorted(found, key=lambda path: path.name)


def began(segment: Path) -> datetime | None:
    """Start of the first interval in `segment`, by its name; None where the name does not say."""
    try:
        return datetime.strptime(segment.name.split(".")[0].split("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def refused_file(folder: Path, batch: Batch) -> Path:
    """Where the lines of `batch` that are no rows are kept."""
    return folder / _OUTBOX / f"refused-{batch.spool}-{batch.number:09}.jsonl"


def refused(folder: Path) -> list[Path]:
    """All files of lines that could not be shipped."""
    return sorted((folder / _OUTBOX).glob("refused-*.jsonl"))


def spool_name(folder: Path) -> str:
    """The name of the spool `folder`, given once and kept in it."""
    return _counted(folder)[0]


def _place(folder: Path, number: int) -> Path:
    return folder / _OUTBOX / f"{number:09}"


def _counted(folder: Path) -> tuple[str, int]:
    """The spool's name and the last number that was given away; the name is made the first time."""
    path = folder / _OUTBOX / _COUNTER
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return str(kept["spool"]), int(kept["last"])
    except FileNotFoundError:
        made = secrets.token_hex(4)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, {"spool": made, "last": 0})
        return made, 0
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"is damaged ({error}).", file=path, fix="delete it: the spool gets a new name and counts anew."
        ) from error


def _unused(path: Path) -> Path:
    """`path`, or the same with a number: a segment may have the name of one that was taken a moment ago."""
    number = 0
    tried = path
    while tried.exists():
        number += 1
        tried = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return tried


def _write(path: Path, value: object) -> None:
    """Replace `path` by `value` as JSON, whole or not at all."""
    replace_file(path, json.dumps(value).encode())


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(
            f"the spool cannot be used: {error.strerror}.",
            file=path.parent,
            fix="name the agent's spool with --spool or FARTHING_SPOOL, and run as the user of the agent.",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
