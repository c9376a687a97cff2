"""Any sequence of writes leaves what the same sequence leaves in a list of plain Python rows."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.lake import Lake
from tests.farthing.lake.worlds import THINGS, read, row, things

_rows = st.lists(
    st.builds(
        row,
        st.sampled_from(["1", "2", "3"]),
        day=st.integers(1, 3),
        source=st.sampled_from(["a", "b"]),
        load=st.sampled_from(["l", "m"]) | st.none(),
        cost=st.decimals(-(10**20), 10**20, places=12).map(str),
        part=st.sampled_from(["p"]) | st.none(),
    ),
    max_size=4,
)
_load = st.sampled_from([f"load-{number}" for number in range(6)])
_wheres = st.fixed_dictionaries(
    {},
    optional={
        "x_source": st.sampled_from(["a", "b"]) | st.just(["a", "b"]),
        "day": st.integers(1, 3).map(lambda day: row("", day=day)["day"]),
        "x_load": st.sampled_from(["l", ["m"], ["l", None]]),
    },
)
_operations = st.tuples(st.sampled_from(["append", "replace", "upsert"]), _rows, _wheres, _load)


def _matches(one: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(one[name] in (wanted if isinstance(wanted, list) else [wanted]) for name, wanted in where.items())


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(one[name] for name in THINGS.key)


def _sorted(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(_operations, min_size=1, max_size=6))
def test_any_sequence_of_writes_equals_plain_lists_of_rows(operations: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        model: list[dict[str, Any]] = []
        loads: set[str] = set()
        states = {}
        for kind, given_rows, where, load in operations:
            rows = given_rows
            if kind == "upsert":
                rows = list({_key(one): one for one in given_rows}.values())
            if kind == "replace":
                rows = [one for one in given_rows if _matches(one, where)]
            arguments: dict[str, Any] = {"where": where} if kind == "replace" else {}
            landed = getattr(lake, kind)(THINGS, things(rows), load=load, **arguments)
            assert landed == (load not in loads)
            if landed:
                loads.add(load)
                if kind == "replace":
                    model = [one for one in model if not _matches(one, where)]
                if kind == "upsert":
                    gone = {_key(one) for one in rows}
                    model = [one for one in model if _key(one) not in gone]
                model = model + rows
            states[lake.version(THINGS)] = _sorted([tuple(one.values()) for one in model])
        for version, state in states.items():
            assert _sorted(read(lake, "from lake.things", version=version)) == state
