"""Arrays of JSON objects: read piece by piece, whatever their lines are, and never without their beginning."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from collectors import lines
from collectors.lines import UnreadableError
from collectors.raw import JsonFile


def rows(path: Path) -> tuple[list[tuple[int, str | None]], list[tuple[int, str]]]:
    """(line, value of a) of the rows, and (line, reason) of what is none."""
    found, broken = [], []
    for batch in JsonFile(path).batches(["a"]):
        found += list(zip(batch.table["_line"].to_pylist(), batch.table["f0"].to_pylist(), strict=True))
        broken += [(one.line, one.reason) for one in batch.broken]
    return found, broken


def write(folder: Path, text: str, name: str = "in.json") -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("name", ["in.json", "in.json.gz"])
def test_an_element_may_lie_across_pieces_of_the_file(
    tmp_path: Path, size: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", size)
    text = '\ufeff [ {"a": "ä,]"} ,\n {"a": 1.10,\n "b": [1, {"c": "\\u00e4]"}]}, 12, {"a": null} ]\n'
    assert rows(write(tmp_path, text, name)) == (
        [(1, "ä,]"), (2, "1.10"), (4, None)],
        [(3, "the line is not a JSON object")],
    )


def test_arrays_after_each_other_are_one_log(tmp_path: Path) -> None:
    """A gateway that posts arrays leaves one on each line."""
    text = '[{"a": 1}, {"a": 2}]\n[]\n[{"a": 3}]\n'
    assert rows(write(tmp_path, text)) == ([(1, "1"), (2, "2"), (3, "3")], [])


@pytest.mark.heavy
def test_an_array_of_one_long_line_keeps_its_beginning(tmp_path: Path) -> None:
    filler = "x" * (1 << 20)
    path = write(tmp_path, json.dumps([{"a": number, "text": filler} for number in range(40)]))
    assert path.stat().st_size > 2 * lines.LINE_LIMIT_BYTES
    tracemalloc.start()
    assert [int(value or -1) for _, value in rows(path)[0]] == list(range(40))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * lines.BLOCK_BYTES  # a piece as bytes, text, values and rows; all of it would take twice as much


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"a": 1}, {"a": ', "Expecting value"),
        ('[{"a": 1}', "it does not end"),
        ('[{"a": 1},', "Expecting value"),
        ('[{"a": 1} {"a": 2}]', "'{' stands where , or ] should"),
        ('[{"a": 1},, {"a": 2}]', "Expecting value"),
        ('[{"a": 1}] x', "'x' stands where [ should"),
        ('[{"a": 1},]', "Expecting value"),
    ],
)
def test_what_only_begins_like_an_array_is_no_file_of_rows(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match="begins as a JSON array and is not one") as error:
        rows(write(tmp_path, text))
    assert reason in str(error.value)


def test_an_element_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.raw.LINE_LIMIT_BYTES", 1000)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 100)
    with pytest.raises(UnreadableError, match="element 2 is no JSON, or longer than"):
        rows(write(tmp_path, '[{"a": 1}, {"a": "' + "x" * 2000))


def test_an_array_of_a_source_lands_with_the_place_of_its_elements(world: Any) -> None:
    world.write("in.json", '[{"started_at": "2026-10-01T10:00:00Z", "model": "m"}, {"model": "m"}]')
    assert world.one("requests", "in.json").landed == 1
    assert world.rejects() == [(2, "started_at is missing")]
