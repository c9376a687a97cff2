"""The spool: rows on the node's disk until they are shipped, whole after a kill and never dropped for want of room."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from collectors.telemetry import Row, microseconds
from farthing.agent.merging import merged
from farthing.agent.outbox import held, sealed, waiting
from farthing.durable import replace_file, sync
from farthing.errors import ConfigError, FarthingError

DEFAULT_FOLDER = Path("/var/lib/farthing/spool")
#: About three weeks of a node with eight GPUs.
QUOTA_BYTES = 256 << 20
_SEGMENT_BYTES = 1 << 20
#: What is kept in memory while the disk is full, before it is merged there: rows of one hour and eight GPUs.
_WAITING_ROWS = 360 * 8
#: How long intervals become when the quota is reached, the oldest first.
_WIDTHS_SECONDS = (60, 600, 3600)
_COMPLAIN_US = 60_000_000


@dataclass(frozen=True)
class Resume:
    """Where the rows of one GPU ended, and what the counter of energy was there."""

    ended_us: int
    high_us: int
    bump: int = 0
    energy: tuple[int, float] | None = None


class Spool:
    """The folder of one node. One process writes; `held` is for those who take or replace what is sealed.

    Raises:
        ConfigError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, *, log: Callable[[str], None], quota_bytes: int = QUOTA_BYTES) -> None:
        self.folder, self._log, self._quota_bytes = folder, log, quota_bytes
        self._file: int | None = None
        self._path: Path | None = None
        self._good_bytes = 0
        self._waiting: deque[list[Row]] = deque()
        self._complained_us: int | None = None
        self._shrinking: Thread | None = None
        self._widths: dict[str, int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with held(folder):
                left = self._recover()
        except OSError as error:
            raise ConfigError(
                f"the spool cannot be written: {error.strerror}.",
                file=folder,
                fix="name a folder of the agent's user with --spool or FARTHING_SPOOL.",
            ) from error
        self.resume = _resumes(folder / "resume.json", left)

    @property
    def waiting_rows(self) -> int:
        """Rows that the disk had no room for yet."""
        return sum(len(rows) for rows in self._waiting)

    def append(self, rows: Iterable[Row], resume: Mapping[str, Mapping[str, object]], boot_us: int) -> None:
        """Write `rows` with one write and one fsync, and those that the disk refused before; then where to go on."""
        if found := list(rows):
            self._waiting.append(found)
        while self._waiting:
            if not self._write(self._waiting[0]):
                self._complain(boot_us)
                self._merge_waiting()
                return
            self._waiting.popleft()
        self._keep("resume.json", resume)

    def close(self) -> None:
        """Seal what is open; rows that the disk has no room for are lost with the process, and said to be."""
        if self._waiting:
            self._log(f"the disk is full: {self.waiting_rows} rows could not be written")
        self._seal()
        if self._shrinking is not None:
            self._shrinking.join()

    def write_node(self, node: Mapping[str, object]) -> None:
        """Replace node.json as a whole."""
        self._keep("node.json", node)

    def shrink(self) -> None:
        """Merge the oldest sealed segments until the spool fits its quota; sums stay, nothing goes.

        Raises:
            FarthingError, OSError: the folder cannot be used.
        """
        for width in _WIDTHS_SECONDS:
            for segment in sealed(self.folder):
                if self._size() <= self._quota_bytes:
                    return
                if self._widths.get(segment.name, 0) < width:
                    self._replace(segment, width)
                    self._widths[segment.name] = width
        self._log(f"the spool is over its quota with rows of an hour: {self._size()} bytes")

    def _replace(self, segment: Path, width_seconds: int) -> None:
        with held(self.folder):
            try:
                rows = _rows(segment)
            except FileNotFoundError:  # taken to be shipped
                return
            replace_file(segment, _lines(merged(rows, width_seconds)), segment.with_suffix(".merging"))

    def _size(self) -> int:
        total = 0
        for path in waiting(self.folder):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    def _write(self, rows: list[Row]) -> bool:
        data = _lines(rows)
        started = min(str(row["started_at"]) for row in rows)
        hour = started[:13].replace("-", "")
        if self._path is not None and (self._path.name[:11] != hour or self._good_bytes + len(data) > _SEGMENT_BYTES):
            self._seal()
        try:
            if self._file is None:
                self._open(f"{started[:19].replace('-', '').replace(':', '')}Z")
            assert self._file is not None
            if os.fstat(self._file).st_size != self._good_bytes:
                os.ftruncate(self._file, self._good_bytes)
            written = os.write(self._file, data)
            if written == len(data):
                os.fsync(self._file)
                self._good_bytes += written
                return True
            os.ftruncate(self._file, self._good_bytes)
        except OSError:
            self._cut()
        return False

    def _cut(self) -> None:
        """After a write that failed nothing of it may stay; where this fails too, the next write does it."""
        if self._file is not None:
            try:
                os.ftruncate(self._file, self._good_bytes)
            except OSError:
                return

    def _open(self, name: str) -> None:
        path = self.folder / f"{name}.open"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._path, self._good_bytes = path, os.fstat(self._file).st_size
        sync(self.folder)

    def _seal(self) -> None:
        if self._file is None or self._path is None:
            return
        os.close(self._file)
        path, self._file, self._path = self._path, None, None
        try:
            with held(self.folder):
                _seal(path)
        except (OSError, FarthingError) as error:  # the next start seals it
            self._log(f"{path.name} could not be sealed: {error}")
            return
        if self._size() > self._quota_bytes and (self._shrinking is None or not self._shrinking.is_alive()):
            self._shrinking = Thread(target=self._shrink_aside, daemon=True, name="spool-quota")
            self._shrinking.start()

    def _shrink_aside(self) -> None:
        try:
            self.shrink()
        except (OSError, FarthingError) as error:
            self._log(f"the spool could not be made smaller: {error}")

    def _recover(self) -> list[Row]:
        """Cut torn ends, go on with the newest open segment, seal others; the rows that were written last."""
        for leftover in self.folder.glob("*.merging"):
            leftover.unlink()
        opened = sorted(self.folder.glob("*.open"))
        for path in opened:
            _cut_torn(path)
        full = [path for path in opened if path.exists()]
        for path in full[:-1]:
            _seal(path)
        if not full:
            newest = sealed(self.folder)
            return _rows(newest[-1]) if newest else []
        self._path = full[-1]
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._good_bytes = os.fstat(self._file).st_size
        return _rows(self._path)

    def _complain(self, boot_us: int) -> None:
        if self._complained_us is None or boot_us - self._complained_us >= _COMPLAIN_US:
            self._complained_us = boot_us
            self._log(f"the spool cannot be written, is the disk full? {self.waiting_rows} rows wait in memory")

    def _merge_waiting(self) -> None:
        """Rows that wait too long for room are merged in memory, so that the agent never grows and never drops."""
        for width in _WIDTHS_SECONDS:
            if self.waiting_rows <= _WAITING_ROWS:
                return
            everything = merged((row for rows in self._waiting for row in rows), width)
            self._waiting = deque([everything])

    def _keep(self, name: str, value: object) -> None:
        """Replace a small file; a kill leaves the old or the new one. Without room, the old one stays."""
        partial = self.folder / f"{name}.part"
        try:
            partial.write_text(json.dumps(value), encoding="utf-8")
            partial.replace(self.folder / name)
        except OSError:
            partial.unlink(missing_ok=True)


def _seal(path: Path) -> None:
    """Rename an open segment; its second moves on where a segment has the name already."""
    target, number = path.with_suffix(".jsonl"), 0
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem}-{number}.jsonl")
    path.rename(target)
    sync(path.parent)


def _cut_torn(path: Path) -> None:
    """End the file after its last whole line; an empty one goes."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    while end:  # after a loss of power a line may be whole and no JSON
        begin = data.rfind(b"\n", 0, end - 1) + 1
        if _row(data[begin:end]) is not None:
            break
        end = begin
    if not end:
        path.unlink()
    elif end < len(data):
        os.truncate(path, end)


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _rows(path: Path) -> list[Row]:
    return [row for line in path.read_bytes().splitlines() if (row := _row(line)) is not None]


def _lines(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)


def _resumes(path: Path, rows: list[Row]) -> dict[str, Resume]:
    """Where each GPU goes on: by resume.json, and by the rows that were written after it."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = {uuid: _resume(value) for uuid, value in kept.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        found = {}
    by_gpu: dict[str, list[Row]] = {}
    for row in rows:
        by_gpu.setdefault(str(row["gpu_uuid"]), []).append(row)
    for uuid, its in by_gpu.items():
        found[uuid] = _gone_on(found.get(uuid), its)
    return found


def _resume(value: Mapping[str, object]) -> Resume:
    energy = value["energy"]
    anchor = (int(energy[0]), float(energy[1])) if isinstance(energy, list) else None
    return Resume(int(str(value["ended_us"])), int(str(value["high_us"])), int(str(value["bump"])), anchor)


def _gone_on(kept: Resume | None, rows: list[Row]) -> Resume:
    """A kill between a write and resume.json leaves rows after it: their joules have been taken from the counter."""
    ends = [microseconds(row["ended_at"]) for row in rows]
    if kept is None:
        return Resume(ends[-1], max(ends))
    after = rows[len(ends) - ends[::-1].index(kept.ended_us) :] if kept.ended_us in ends else []
    if not after:
        return kept if kept.ended_us in ends or kept.ended_us > ends[-1] else Resume(ends[-1], max(kept.high_us, *ends))
    energy = None
    if kept.energy is not None and all(row["energy_joules"] is not None for row in after):
        energy = (ends[-1], kept.energy[1] + sum(float(str(row["energy_joules"])) for row in after))
    return Resume(ends[-1], max(kept.high_us, *ends), kept.bump, energy)
