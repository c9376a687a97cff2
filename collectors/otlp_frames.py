"""Frames of OTLP, a length and a message, as the file exporter of the OpenTelemetry Collector writes them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from collectors.lines import UnreadableError, pieces
from collectors.otlp_messages import of_json, of_protobuf

#: No frame is longer: the Collector's own limit for a message is a tenth of it.
FRAME_LIMIT_BYTES = 64 << 20
_LENGTH_BYTES = 4
_ZSTD = b"\x28\xb5\x2f\xfd"
_BATCH_BYTES = 8 << 20


def lines_of_frames(path: Path, keep: frozenset[str], schema: pa.Schema) -> Iterator[pa.Table]:
    """The frames of `path` as lines of JSON that have only the attributes `keep`; a frame's number is its line.

    A message of the length that the file says and of another content is a line with a problem.

    Raises:
        UnreadableError: the lengths do not fit the file: it was cut short, or holds no frames.
        ConfigError: the package that reads protobuf is not installed.
    """
    rows: list[tuple[int, str, str | None]] = []
    size = 0
    for number, frame in enumerate(_frames(path), 1):
        try:
            message = _unpacked(frame)
            texts = of_json(message, keep) if message.lstrip()[:1] == b"{" else of_protobuf(message, keep)
            rows += [(number, text, None) for text in texts]
            size += sum(map(len, texts))
        except ValueError as error:
            rows.append((number, "{}", str(error)))
        if size > _BATCH_BYTES:
            yield pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)
            rows, size = [], 0
    if rows:
        yield pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)


def _frames(path: Path) -> Iterator[bytes]:
    held = bytearray()
    for piece, _ in pieces(path):
        held += piece
        start = 0
        while len(held) - start >= _LENGTH_BYTES:
            length = int.from_bytes(held[start : start + _LENGTH_BYTES], "big")
            if length > FRAME_LIMIT_BYTES:
                raise UnreadableError(
                    f"{path.name} is neither JSON lines nor frames of OTLP (a length of {length:,} bytes)"
                )
            end = start + _LENGTH_BYTES + length
            if len(held) < end:
                break
            yield bytes(held[start + _LENGTH_BYTES : end])
            start = end
        del held[:start]
    if held:
        raise UnreadableError(f"{path.name} ends in the middle of a frame; nothing of the file was landed")


def _unpacked(frame: bytes) -> bytes:
    """A frame's message; the Collector packs each by itself.

    Raises:
        ValueError: it is damaged, or too long.
    """
    if frame[:4] != _ZSTD:
        return frame
    try:
        with pa.CompressedInputStream(pa.BufferReader(frame), "zstd") as packed:
            message = bytes(packed.read(FRAME_LIMIT_BYTES + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"the frame cannot be unpacked ({error})") from error
    if len(message) > FRAME_LIMIT_BYTES:
        raise ValueError(f"the frame is longer than {FRAME_LIMIT_BYTES >> 20} MB")
    return message
