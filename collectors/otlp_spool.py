"""A folder of segments that a receiver of traces writes and sources of kind `otel` read.

A line that was taken is on disk for good. A segment that is being written has a name that no source reads; sealed, it
has its name for good and never changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from farthing import clock
from farthing.durable import sync

_OPEN, _SEALED = ".open", ".jsonl"
_PREFIX = "otlp-"
SEGMENT_BYTES = 64 << 20
SEGMENT_SECONDS = 60.0


class Spool:
    """The segments in `folder`; used by one thread at a time.

    What a receiver that was killed left open is sealed at once: up to its last whole line, for nobody was told that
    the line after it had been taken.

    Raises:
        OSError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file: int | None = None
        self._path = folder
        self._bytes, self._began = 0, 0.0
        for left in sorted(folder.glob(f"{_PREFIX}*{_OPEN}")):
            _mend(left)

    def append(self, lines: Iterable[str]) -> None:
        """Write `lines`; when this returns they are on disk, and when it raises none of them is in the spool.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        if not data:
            return
        if self._file is None:
            self._open()
        assert self._file is not None
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._bytes)
                os.fsync(self._file)
            self.seal()  # whatever is wrong with this file, the next begins anew
            raise
        self._bytes += len(data)
        if self._bytes >= SEGMENT_BYTES:
            self.seal()

    def seal_old(self) -> None:
        """Seal the segment that is being written once it is a minute old: what was received is not held back."""
        if self._file is not None and clock.now().timestamp() - self._began >= SEGMENT_SECONDS:
            self.seal()

    def seal(self) -> None:
        """End the segment that is being written: sources read it from now on."""
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        _mend(self._path)

    def sealed(self) -> list[Path]:
        """The segments that sources read."""
        return sorted(self.folder.glob(f"{_PREFIX}*{_SEALED}"))

    def _open(self) -> None:
        now = clock.now()
        self._path = self.folder / f"{_PREFIX}{now:%Y%m%dT%H%M%S%f}-{os.getpid()}{_OPEN}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._bytes, self._began = 0, now.timestamp()
        sync(self.folder)


def _mend(path: Path) -> None:
    """Cut what is behind the last whole line, and give the segment the name that sources read."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
    if end == 0:
        path.unlink()
    else:
        path.rename(path.with_suffix(_SEALED))
    sync(path.parent)
