"""read = landed + duplicate + rejected, whatever the lines are; and every good row lands exactly once."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.lake.schemas import REQUESTS

HEADER = (
    "request_id,started_at,ended_at,model,input_tokens,cached_input_tokens,gateway_cache_hit,reported_cost,work_units"
)
NAMES = [f"r{number}" for number in range(6)]

good = st.builds(
    lambda name, tokens, cached, text: (
        "good",
        name,
        f"{name},2026-10-01T10:00:00Z,2026-10-01T10:00:01.25+00:00,{text},{tokens + cached},{cached},true,1e-7,2.5",
    ),
    st.sampled_from(NAMES),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.sampled_from(["m", '"quoted, with comma"', '"said ""so"""', '"two\nlines"', "größer", "日本", "a'b", "NULL"]),
)
#: What people and programs put where a number, a time or a name should be.
nasty = st.sampled_from(
    "NaN inf -inf 1e999 1e-999 -1 0x10 1_000 1,5 '' -- NULL null None infinity epoch 9999999999999999999 "
    "2026-13-01 2026-02-30T10:00:00Z 0000-00-00 24:00 2026-10-01T25:00:00Z 2026-10-01T10:00:00+99:00 true $5 ½ \x00 "
    "9999-12-31T23:59:59Z 0001-01-01T00:00:00Z".split(" ")
)


@st.composite
def _bad(draw: st.DrawFn) -> tuple[str, str, str]:
    fields = ["x", "2026-10-01T10:00:00Z", "2026-10-01T10:00:01Z", "m", "5", "1", "true", "1", "1"]
    kind = draw(st.sampled_from(["field", "short", "long", "quote", "end", "tokens"]))
    if kind == "field":
        fields[draw(st.sampled_from([1, 2, 4, 5, 6, 7, 8]))] = "~" + draw(nasty)
    elif kind == "short":
        fields = fields[: draw(st.integers(1, 8))]
    elif kind == "long":
        fields.append(draw(nasty))
    elif kind == "quote":
        fields[draw(st.sampled_from([0, 3, 8]))] = '"open'
    elif kind == "end":
        fields[2] = "2026-09-01T00:00:00Z"
    else:
        fields[5] = "6"
    return "bad", "", ",".join(fields)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.one_of(good, good, _bad()), max_size=25), st.booleans())
def test_every_row_read_is_landed_duplicate_or_rejected(
    rows: list[tuple[str, str, str]], ends_with_newline: bool
) -> None:
    from tests.collectors.conftest import World

    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        text = "\n".join([HEADER, *(line for _, _, line in rows)]) + ("\n" if ends_with_newline else "")
        world.write("in.csv", text)
        result = world.one("requests", "in.csv", token_convention="inclusive")
        names = Counter(name for kind, name, _ in rows if kind == "good")
        assert result.read == result.landed + result.duplicate + result.rejected == len(rows)
        assert result.rejected == len(rows) - names.total()
        assert sorted(row["request_id"] for row in world.rows(REQUESTS)) == sorted(names)
        assert result.landed == len(names)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(nasty, min_size=9, max_size=9))
def test_no_text_in_any_column_can_raise(values: list[str]) -> None:
    from tests.collectors.conftest import World

    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        line = ",".join('"' + value + '"' for value in values)
        last = "good,2026-10-01T10:00:00Z,,m,,,,,"
        world.write("in.csv", f"{HEADER}\n{line}\n{last}\n")
        result = world.one("requests", "in.csv", token_convention="inclusive", timezone="Europe/Berlin")
        assert (result.status, result.read) == ("landed", 2)
        assert "good" in {row["request_id"] for row in world.rows(REQUESTS)}


@pytest.mark.slow
@pytest.mark.parametrize("size", [7, 64, 1000])
def test_where_a_block_ends_changes_nothing(world: Any, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("collectors.lines.BLOCK_BYTES", size)
    lines = [f'r{number},2026-10-01T10:00:00Z,,"a\n""b""\nc{number}",5,1,,,' for number in range(9)]
    lines.insert(4, "short,line")
    world.write("in.csv", "\n".join([HEADER, *lines]))
    result = world.one("requests", "in.csv", token_convention="inclusive")
    assert (result.read, result.landed, result.rejected) == (10, 9, 1)
    assert world.rejects() == [(14, "the line has 2 fields, the header has 9")]
    models = {row["request_id"]: row["model"] for row in world.rows(REQUESTS)}
    assert models == {f"r{number}": f'a\n"b"\nc{number}' for number in range(9)}
