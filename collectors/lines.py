"""Bytes of a text file, plain or compressed, as blocks of whole lines with exact line numbers and bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

BLOCK_BYTES = 8 << 20
#: A line longer than this is a reject: no record of a bill or a log is, and memory stays bounded.
LINE_LIMIT_BYTES = 16 << 20
#: What a reject keeps of the raw text.
RAW_LIMIT_BYTES = 4096


class UnreadableError(Exception):
    """A file that cannot be read as a whole; the message is for the person who delivers it."""


@dataclass(frozen=True)
class Broken:
    """A piece of a file that is no row: the line it starts at, its text cut at 4 KB, and why."""

    line: int
    raw: str
    reason: str


@dataclass(frozen=True)
class Block:
    """Whole lines: `data` ends with a newline except at the end of the file; `line` is the number of its first line."""

    data: bytes
    line: int
    consumed_bytes: int = 0  # of the file as it is stored, since the block before
    broken: list[Broken] = field(default_factory=list)


def excerpt(data: bytes) -> str:
    """The first 4 KB of `data` as text, whatever its encoding."""
    return data[:RAW_LIMIT_BYTES].decode("utf-8", "replace").rstrip("\r\n")


def blocks(path: Path) -> Iterator[Block]:
    """The lines of `path` (.gz, .zst or plain) in blocks of about 8 MB, without a byte order mark.

    Raises:
        UnreadableError: empty, compressed and cut short or damaged, or not UTF-8 at all (UTF-16).
        OSError: the operating system refuses.
    """
    rest, line, consumed, skipping, seen = b"", 1, 0, False, False
    broken: list[Broken] = []
    with path.open("rb") as file:
        before = 0
        for piece in _inflated(file, path):
            consumed, before = file.tell() - before, file.tell()
            chunk = piece if seen else _without_mark(piece)
            seen = True
            if skipping:
                _, newline, chunk = chunk.partition(b"\n")
                if not newline:
                    continue
                skipping, line = False, line + 1
            cut = chunk.rfind(b"\n") + 1
            if not cut:
                rest += chunk
                if len(rest) > LINE_LIMIT_BYTES:
                    broken.append(Broken(line, excerpt(rest), f"the line is longer than {LINE_LIMIT_BYTES >> 20} MB"))
                    rest, skipping = b"", True
                continue
            data, rest = rest + chunk[:cut], chunk[cut:]
            yield Block(data, line, consumed, broken)
            line, broken = line + data.count(b"\n"), []
    if not seen:
        raise UnreadableError(f"{path.name} is empty (0 bytes)")
    if rest or broken:
        yield Block(rest, line, consumed, broken)


def pieces(path: Path) -> Iterator[tuple[bytes, int]]:
    """The content of `path` unpacked, without a byte order mark, and the bytes as stored that each piece took.

    Raises:
        UnreadableError: as `blocks` does.
        OSError: the operating system refuses.
    """
    before, seen = 0, False
    with path.open("rb") as file:
        for piece in _inflated(file, path):
            consumed, before = file.tell() - before, file.tell()
            yield piece if seen else _without_mark(piece), consumed
            seen = True
    if not seen:
        raise UnreadableError(f"{path.name} is empty (0 bytes)")


def _without_mark(chunk: bytes) -> bytes:
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError("the file is UTF-16; write it as UTF-8")
    return chunk.removeprefix(b"\xef\xbb\xbf")


def _inflated(file: BinaryIO, path: Path) -> Iterator[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        yield from _gunzipped(file, path)
        return
    read = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd").read if suffix == ".zst" else file.read
    while True:
        try:
            chunk = read(BLOCK_BYTES)
        except (OSError, EOFError) as error:
            if suffix != ".zst":
                raise
            raise _damaged(path, str(error)) from error
        if not chunk:
            return
        yield chunk


def _gunzipped(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """All members of a gzip file, in pieces whose size does not depend on how well they are packed."""
    inflater = zlib.decompressobj(31)
    fed = False
    try:
        while packed := file.read(1 << 20):
            while packed:
                if inflater.eof:
                    if not packed.strip(b"\0"):
                        break
                    inflater = zlib.decompressobj(31)
                fed = True
                if data := inflater.decompress(packed, BLOCK_BYTES):
                    yield data
                packed = inflater.unconsumed_tail or inflater.unused_data
        while fed and not inflater.eof:
            data = inflater.decompress(b"", BLOCK_BYTES)
            if not data:
                raise _damaged(path, "it was cut short")
            yield data
    except zlib.error as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> UnreadableError:
    return UnreadableError(f"{path.name} cannot be unpacked to its end ({reason}); nothing of the file was landed")
