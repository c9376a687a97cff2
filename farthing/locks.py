"""Who may write now, and what killed processes left: both told by locks that the system drops with their holder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from farthing.config import SCRATCH
from farthing.errors import ConfigError, SourceError

_PATIENCE_SECONDS = 600.0
_TEMPORARY = "farthing-scratch-"
#: A folder this young may belong to a process that has not locked it yet.
_GRACE_SECONDS = 60.0


class BusyError(SourceError):
    """Another process does the same, and was not done in time."""


@contextmanager
def alone(
    project: Path, verb: str, tell: Callable[[str], None], *, patience_seconds: float | None = None
) -> Iterator[None]:
    """Be the one process on this machine that does `verb` (collect, build) in the folder `project`; waits for another.

    Temporary folders of processes that were killed are removed on the way.

    Raises:
        BusyError: the other process was not done after `patience_seconds`, by default ten minutes.
        ConfigError: the project's folder cannot be written.
    """
    path = project / SCRATCH / f"{verb}.lock"
    try:
        path.parent.mkdir(exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        fix = "check who may write there."
        raise ConfigError(f"cannot be written: {error.strerror}.", file=path, fix=fix) from error
    with file:
        _wait(file, path, verb, tell, _PATIENCE_SECONDS if patience_seconds is None else patience_seconds)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _clear()
        yield


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, gone at the end; what a killed process leaves of it goes with the next `alone`."""
    folder = tempfile.mkdtemp(prefix=_TEMPORARY)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _wait(file: TextIO, path: Path, verb: str, tell: Callable[[str], None], patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    told = False
    while not _locked(file.fileno()):
        file.seek(0)
        other = f"another `farthing {verb}` (process {file.read() or 'unknown'})"
        if time.monotonic() > deadline:
            after = f" after {patience_seconds / 60:.0f} minutes" if patience_seconds else ""
            raise BusyError(
                f"{other} is still at work{after}; nothing was done.",
                source="project",
                object_name=str(path),
                fix="run the command again when the other is done, or end that one.",
            )
        if not told:
            tell(f"waiting for {other}")
            told = True
        time.sleep(0.1)


def _clear() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        if not re.fullmatch(rf"{_TEMPORARY}[a-z0-9_]{{8}}", folder.name):
            continue
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # another user's, or gone by now
            continue
        try:
            if time.time() - os.fstat(held).st_mtime > _GRACE_SECONDS and _locked(held):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)


def _locked(descriptor: int) -> bool:
    """Take the lock on `descriptor` if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
