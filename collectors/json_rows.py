"""JSON objects of a file as text, each with its line, in any shape that loggers write: lines, arrays, or one object.

Nothing is decoded here: the text goes to DuckDB, which takes out of it what is asked for and leaves the rest unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.lines import LINE_LIMIT_BYTES, UnreadableError, blocks, pieces
from collectors.raw import ROWS_APART

_BLANK = b" \t\r\n"
_NEWLINE, _QUOTE, _BACKSLASH, _BRACE = b'\n"\\{'
#: 1 for what opens an object or an array, 255, which is -1, for what closes one.
_STEPS = bytes(1 if byte in b"{[" else 255 if byte in b"}]" else 0 for byte in range(256))
_CHUNK_ROWS = 256  # an object of a log is thousands of bytes: so DuckDB's threads share even a small piece


@dataclass(frozen=True)
class Refused:
    """What is no row: where it begins, how many bytes it has, and why. Its text is not kept: it may be a prompt."""

    line: int
    size: int
    reason: str


@dataclass(frozen=True)
class JsonRows:
    """Texts of JSON objects, each with its line; whether they are whole objects only their reader can tell.

    `table` has the columns `_line` and `text`, which is UTF-8.
    """

    table: pa.Table
    refused: list[Refused] = field(default_factory=list)


def _in_table(lines: npt.ArrayLike, data: bytes, ends: npt.NDArray[np.int64], refused: list[Refused]) -> JsonRows:
    """Rows of text that stand in `data` one right after the other; one that is not UTF-8 joins the `refused`."""
    texts = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(np.append(0, ends)), pa.py_buffer(data))
    table = pa.table([pa.array(lines, pa.int64()), texts], names=["_line", "text"])
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        texts = texts.view(pa.large_binary())
        good = [_is_utf8(text) for text in texts.to_pylist()]
        refused += [
            Refused(line, len(text), "the line is not UTF-8 text")
            for line, text, fine in zip(table["_line"].to_pylist(), texts.to_pylist(), good, strict=True)
            if not fine
        ]
        table = table.filter(pa.array(good, pa.bool_()))
    return JsonRows(pa.Table.from_batches(table.to_batches(max_chunksize=_CHUNK_ROWS), table.schema), refused)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _listed(lines: list[int], texts: list[bytes], refused: list[Refused]) -> JsonRows:
    return _in_table(lines, b"".join(texts), np.cumsum(list(map(len, texts)), dtype=np.int64), refused)


NOTHING = _listed([], [], [])


def json_rows(path: Path) -> Iterator[JsonRows]:
    """The objects of a file (.gz, .zst or plain), about 8 MB of text at a time.

    One to a line; or in arrays, one array or many, on one line or on several; or one object over several lines. In
    JSON lines a line may be an array too: its rows have the line's number, and each but the first `ROWS_APART` more.
    Otherwise a row's line is its place in the file.

    Raises:
        UnreadableError: the file is empty, damaged or cut short.
        OSError: the operating system refuses.
    """
    first, _ = next(pieces(path))
    head = first.lstrip(_BLANK)
    if head.startswith(b"[") or head.partition(b"\n")[0].rstrip() == b"{":
        return _nested(path)
    return _line_by_line(path)


def _line_by_line(path: Path) -> Iterator[JsonRows]:
    for block in blocks(path):
        refused = [Refused(one.line, LINE_LIMIT_BYTES, one.reason) for one in block.broken]
        text = np.frombuffer(block.data, np.uint8)
        ends = np.flatnonzero(text == _NEWLINE) + 1
        if not block.data.endswith(b"\n") and block.data:
            ends = np.append(ends, len(text))
        begins = np.append(0, ends[:-1])[: len(ends)]
        odd = np.flatnonzero(text[begins] != _BRACE)
        numbers = np.arange(block.line, block.line + len(ends), dtype=np.int64)
        if not len(odd):
            yield _in_table(numbers, block.data, ends, refused)
            continue
        lines, texts = [], []
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True):
            piece = block.data[begin:end]
            for line, one in _of_line(number, piece, refused):
                lines.append(line)
                texts.append(one)
        yield _listed(lines, texts, refused)


def _of_line(number: int, text: bytes, refused: list[Refused]) -> Iterable[tuple[int, bytes]]:
    """The objects of a line: itself, or those of an array; what is none joins the `refused`."""
    begin = text.lstrip(_BLANK)[:1]
    if begin != b"[":
        return [(number, text)] if begin else []
    splitter = Splitter()
    try:
        lines, texts, others = splitter.feed(text)
        splitter.end()
    except UnreadableError as error:
        refused.append(Refused(number, len(text), f"the line is not JSON ({error})"))
        return []
    refused += [Refused(number + (one.line - 1) * ROWS_APART, one.size, one.reason) for one in others]
    return zip((number + (place - 1) * ROWS_APART for place in lines), texts, strict=True)


def _nested(path: Path) -> Iterator[JsonRows]:
    splitter = Splitter()
    for piece, _ in pieces(path):
        yield _listed(*splitter.feed(piece))
    splitter.end()


class Splitter:
    """Cuts JSON that comes in pieces into its objects: those that stand alone, and the elements of arrays.

    Only strings, braces and brackets are looked at, by whole pieces at once. What lies open at the end of a piece is
    looked at again with the next one.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._in_array = False
        self._place = 0

    def feed(self, piece: bytes) -> tuple[list[int], list[bytes], list[Refused]]:
        """The objects that end in `piece`, with their places from 1, and what stands among them and is none.

        Raises:
            UnreadableError: more is closed than was opened, or an object has more than 16 MB.
        """
        data = self._rest + piece
        places: list[int] = []
        texts: list[bytes] = []
        refused: list[Refused] = []
        done = 0
        begun: int | None = None
        for at, step, depth in zip(*_marks(data, int(self._in_array)), strict=True):
            opens = step > 0
            if depth < 0:
                raise UnreadableError(f"more is closed than was opened, after object {self._place}")
            if opens and depth == 1 and data[at] == ord("["):
                self._between(refused, data[done:at])
                self._in_array, done = True, at + 1
            elif opens and begun is None and depth == 1 + self._in_array:
                self._between(refused, data[done:at])
                begun = at
            elif not opens and begun is not None and depth == int(self._in_array):
                self._place += 1
                places.append(self._place)
                texts.append(data[begun : at + 1])
                begun, done = None, at + 1
            elif not opens and depth == 0:
                self._between(refused, data[done:at])
                self._in_array, done = False, at + 1
        self._rest = data[done:]
        if len(self._rest) > LINE_LIMIT_BYTES + len(piece):
            raise UnreadableError(f"object {self._place + 1} has more than {LINE_LIMIT_BYTES >> 20} MB")
        return places, texts, refused

    def end(self) -> None:
        """Nothing comes any more.

        Raises:
            UnreadableError: an object or an array is open still.
        """
        if self._in_array or self._rest.strip(_BLANK):
            raise UnreadableError(f"the JSON ends in the middle, after object {self._place}; nothing of it was landed")

    def _between(self, refused: list[Refused], text: bytes) -> None:
        """What stands between two objects: nothing but commas, or an element that is no object."""
        if found := text.strip(_BLANK + b","):
            self._place += 1
            refused.append(Refused(self._place, len(found), "the element is not a JSON object"))


def _marks(data: bytes, depth: int) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Where objects and arrays of the two outermost levels open (1) and close (-1), and how deep it is inside of them.

    Of what closes, the depth outside. `data` begins outside of a string, `depth` levels deep.
    """
    step = np.frombuffer(data.translate(_STEPS), np.int8)
    braces = np.flatnonzero(step)
    quotes = _quotes(np.frombuffer(data, np.uint8))
    outside = braces[np.searchsorted(quotes, braces) % 2 == 0]
    steps = step[outside]
    depths = depth + np.cumsum(steps, dtype=np.int64)
    outer = (depths <= 2) & ((steps > 0) | (depths <= 1))
    return outside[outer].tolist(), steps[outer].tolist(), depths[outer].tolist()


def _quotes(text: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where strings begin and end: quotation marks behind an even number of backslashes."""
    quotes = np.flatnonzero(text == _QUOTE)
    odd = np.zeros(len(quotes), bool)
    open_ = np.arange(len(quotes))
    back = 1
    while len(open_):
        before = quotes[open_] - back
        open_ = open_[(before >= 0) & (text[np.maximum(before, 0)] == _BACKSLASH)]
        odd[open_] ^= True
        back += 1
    return quotes[~odd]
