"""An inbox of nodes: many small files land in a few commits, and each is a file as any other afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farthing import commit_points
from farthing.agent.ship import ToInbox, ship
from farthing.lake.schemas import GPU_USAGE, LOADS, REJECTS
from tests.farthing.agent.nodes import Node

INBOX = "inbox/gpu_usage/**/*.parquet"


def nodes(folder: Path, number: int) -> list[Node]:
    return [Node(folder, name=f"node-{each}") for each in range(number)]


def shipped(folder: Path, node: Node, rows: int = 3) -> None:
    node.seal(rows)
    ship(node.spool, ToInbox(str(folder / "inbox"), node.name))


@pytest.mark.slow
def test_all_new_files_of_an_inbox_land_in_one_commit_with_a_line_each(world: Any) -> None:
    fleet = nodes(world.folder, 3)
    for node in (*fleet, *fleet):
        shipped(world.folder, node)
    results = world.collect("gpu_usage", INBOX)
    assert [(one.status, one.read, one.landed) for one in results] == [("landed", 6, 6)] * 6
    assert world.lake.version(GPU_USAGE) == 1
    assert world.lake.version(LOADS) == 1
    assert {row["x_load"] for row in world.rows(GPU_USAGE)} == {one.file for one in results}
    assert all(row["covered_seconds"] == 10 and row["energy_joules"] == 100.5 for row in world.rows(GPU_USAGE))

    assert {one.status for one in world.collect("gpu_usage", INBOX)} == {"unchanged"}
    shipped(world.folder, fleet[0])
    assert sorted(one.status for one in world.collect("gpu_usage", INBOX)) == ["landed", *["unchanged"] * 6]
    assert len(world.rows(GPU_USAGE)) == 42


def test_a_damaged_file_fails_alone_and_an_empty_batch_lands(world: Any) -> None:
    [node] = nodes(world.folder, 1)
    shipped(world.folder, node)
    shipped(world.folder, node, rows=0)
    [whole, _] = sorted(world.folder.glob(INBOX))
    whole.with_name(f"{whole.name[:8]}-000000007.parquet").write_bytes(b"PAR1 and no more")
    assert [(one.status, one.landed) for one in world.collect("gpu_usage", INBOX)] == [
        ("landed", 6),
        ("landed", 0),
        ("failed", 0),
    ]


def test_rows_that_cannot_be_are_refused_with_their_own_file_and_line(world: Any) -> None:
    for number in (1, 2):
        folder = world.folder / "inbox/gpu_usage/n"
        folder.mkdir(parents=True, exist_ok=True)
        world.parquet(
            f"inbox/gpu_usage/n/0123abcd-00000000{number}.parquet",
            f"select 'G{number}' as gpu_uuid, timestamptz '2026-11-02 00:00:00Z' + to_seconds(10 * i) as started_at, "
            "timestamptz '2026-11-02 00:00:10Z' + to_seconds(10 * i) as ended_at, 10.0 as covered_seconds, "
            "(case i when 1 then 11 else 2 end)::double as busy_seconds from range(3) t(i)",
        )
    results = world.collect("gpu_usage", INBOX)
    assert [(one.read, one.landed, one.rejected) for one in results] == [(3, 2, 1)] * 2
    rejects = world.rows(REJECTS, "file")
    assert [(row["file"], row["line"]) for row in rejects] == [(one.file, 2) for one in results]
    assert all("11.0 are more than covered_seconds" in row["reason"] for row in rejects)


def test_a_row_that_two_nodes_ship_lands_once(world: Any) -> None:
    [node] = nodes(world.folder, 1)
    shipped(world.folder, node)
    [file] = world.folder.glob(INBOX)
    other = world.folder / "inbox/gpu_usage/other/0123abcd-000000001.parquet"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    assert sorted((one.landed, one.duplicate) for one in world.collect("gpu_usage", INBOX)) == [(0, 6), (6, 0)]
    assert len(world.rows(GPU_USAGE)) == 6


@pytest.mark.parametrize(
    "point",
    [
        "lake.gpu_usage.after",
        pytest.param("lake.gpu_usage.before", marks=pytest.mark.heavy),
        pytest.param("lake.loads.before", marks=pytest.mark.heavy),
    ],
)
def test_a_collection_that_is_stopped_is_finished_by_the_next_with_what_came_since(world: Any, point: str) -> None:
    class Stopped(BaseException):
        pass

    def stop() -> None:
        raise Stopped

    fleet = nodes(world.folder, 2)
    for node in fleet:
        shipped(world.folder, node)
    commit_points.on(point, stop)
    try:
        with pytest.raises(Stopped):
            world.collect("gpu_usage", INBOX)
    finally:
        commit_points.on(point, None)
    shipped(world.folder, fleet[1])
    assert [one.landed for one in world.collect("gpu_usage", INBOX)] == [6, 6, 6]
    assert len(world.rows(GPU_USAGE)) == 18
