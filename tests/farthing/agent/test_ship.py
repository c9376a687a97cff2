"""Shipping: each row arrives once, whatever stops it, and nothing leaves the spool before it was seen to arrive."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from farthing import commit_points
from farthing.agent import outbox
from farthing.agent.ship import Shipped, ToInbox, ToLake, ship
from farthing.errors import SourceError
from farthing.lake import Lake
from farthing.lake.schemas import GPU_USAGE
from tests.farthing.agent.nodes import Node
from tests.farthing.commands import farthing
from tests.servers import Answered, Asked, Web


class Stopped(BaseException):
    """The process ends here."""


def stop() -> None:
    raise Stopped


@pytest.fixture(autouse=True)
def _no_points() -> Iterator[None]:
    yield
    for name in ("ship.put.before", "ship.put.after", "ship.seen"):
        commit_points.on(name, None)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def counted(lake: Lake) -> tuple[int, int, float]:
    """Rows, different keys, and busy seconds in the lake."""
    with duckdb.connect() as con:
        lake.view(con, GPU_USAGE)
        [answer] = con.execute(
            "select count(*), count(distinct (gpu_uuid, started_at)), sum(busy_seconds) from lake.gpu_usage"
        ).fetchall()
    return answer


def test_all_sealed_segments_go_in_one_commit_and_leave_the_spool_but_not_the_open_one(node: Node, lake: Lake) -> None:
    for _ in range(3):
        node.seal()
    still_open = node.seal(ending=".open")
    before = lake.version(GPU_USAGE)
    assert before is None
    assert ship(node.spool, ToLake(lake, "node-1")) == [Shipped(1, 3, 36, 36)]
    assert lake.version(GPU_USAGE) == 1  # the table was made by the one before
    assert counted(lake) == (36, 36, 90.0)
    assert outbox.waiting(node.spool) == [still_open]
    assert ship(node.spool, ToLake(lake, "node-1")) == []
    assert lake.version(GPU_USAGE) == 1


@pytest.mark.parametrize("point", ["ship.put.before", "ship.put.after", "ship.seen"])
def test_a_run_that_is_stopped_anywhere_is_finished_by_the_next(node: Node, lake: Lake, point: str) -> None:
    node.seal()
    node.seal()
    commit_points.on(point, stop)
    with pytest.raises(Stopped):
        ship(node.spool, ToLake(lake, "node-1"))
    commit_points.on(point, None)
    node.seal()  # the sampler goes on
    shipped = ship(node.spool, ToLake(lake, "node-1"))
    assert [(one.segments, one.again) for one in shipped] == [(2, point != "ship.put.before"), (1, False)]
    assert counted(lake) == (36, 36, 90.0)
    assert outbox.waiting(node.spool) == []


def test_a_batch_of_which_some_segments_are_deleted_is_not_shipped_again(node: Node, lake: Lake) -> None:
    node.seal()
    node.seal()
    commit_points.on("ship.seen", stop)
    with pytest.raises(Stopped):
        ship(node.spool, ToLake(lake, "node-1"))
    commit_points.on("ship.seen", None)
    outbox.waiting(node.spool)[0].unlink()  # killed while it deleted
    assert [one.again for one in ship(node.spool, ToLake(lake, "node-1"))] == [True]
    assert counted(lake)[0] == 24


def test_a_kill_while_a_batch_is_made_loses_no_segment(node: Node, lake: Lake) -> None:
    node.seal()
    filling = node.spool / "outbox" / "filling"
    filling.mkdir(parents=True)
    node.seal().rename(filling / "20261102T010000Z.jsonl")
    assert [one.segments for one in ship(node.spool, ToLake(lake, "node-1"))] == [2]
    assert counted(lake)[0] == 24


def test_a_lake_that_is_away_makes_no_batch_and_the_spool_grows_then_drains_in_one_commit(
    node: Node, tmp_path: Path
) -> None:
    away = tmp_path / "lake"
    away.write_text("no folder")
    lake = Lake(str(away))
    for _ in range(3):
        node.seal()
        with pytest.raises(SourceError):
            ship(node.spool, ToLake(lake, "node-1"))
        assert len(outbox.sealed(node.spool)) == node.hours
    away.unlink()
    assert [one.landed for one in ship(node.spool, ToLake(lake, "node-1"))] == [36]
    assert lake.version(GPU_USAGE) == 1


def test_a_node_that_lost_its_spool_counts_anew_and_its_rows_land(node: Node, lake: Lake) -> None:
    node.seal()
    ship(node.spool, ToLake(lake, "node-1"))
    shutil.rmtree(node.spool / "outbox")
    node.seal()
    assert [(one.number, one.landed, one.again) for one in ship(node.spool, ToLake(lake, "node-1"))] == [(1, 12, False)]
    assert counted(lake)[0] == 24


def test_lines_that_are_no_rows_stay_in_the_spool_with_the_reason_and_keep_nothing_else(node: Node, lake: Lake) -> None:
    node.seal(extra='{"gpu_uuid": "torn\n{"gpu_uuid": "G", "started_at": "2026-11-02T00:00:00"}\n')
    (node.spool / "20261102T050000Z.jsonl").write_bytes(b"\0" * 100)
    [shipped] = ship(node.spool, ToLake(lake, "node-1"))
    assert (shipped.read, shipped.landed, shipped.rejected) == (15, 12, 3)
    [file] = outbox.refused(node.spool)
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert any("torn" in one["line"] and "not JSON" in one["reason"] for one in kept)
    assert len(kept) == 3


def test_a_spool_in_which_no_line_is_a_row_is_kept_and_does_not_stop_the_next(node: Node, lake: Lake) -> None:
    (node.spool / "20261101T000000Z.jsonl").write_text('{"other": 1}\n')
    assert [(one.read, one.rejected) for one in ship(node.spool, ToLake(lake, "node-1"))] == [(1, 1)]
    node.seal()
    assert [one.landed for one in ship(node.spool, ToLake(lake, "node-1"))] == [12]


def test_a_row_that_two_segments_have_lands_once(node: Node, lake: Lake) -> None:
    first = node.seal()
    shutil.copy(first, node.spool / "20261102T003000Z.jsonl")
    [shipped] = ship(node.spool, ToLake(lake, "node-1"))
    assert (shipped.read, shipped.landed, shipped.duplicate) == (24, 12, 12)


def test_a_column_that_only_later_rows_have_is_not_lost(node: Node, lake: Lake) -> None:
    node.seal(rows=600)
    late = node.seal(rows=1)
    rows = [json.loads(line) | {"sm_active_seconds": 1.5} for line in late.read_text().splitlines()]
    late.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ship(node.spool, ToLake(lake, "node-1"))
    with duckdb.connect() as con:
        lake.view(con, GPU_USAGE)
        assert con.execute("select sum(sm_active_seconds) from lake.gpu_usage").fetchall() == [(3.0,)]


def test_an_inbox_gets_one_file_for_each_batch_and_a_second_run_writes_nothing(node: Node, tmp_path: Path) -> None:
    inbox = ToInbox(str(tmp_path / "inbox"), "node-1")
    node.seal()
    node.seal()
    assert [one.landed for one in ship(node.spool, inbox)] == [24]
    [file] = [path for path in (tmp_path / "inbox").rglob("*") if path.is_file()]
    assert file.relative_to(tmp_path / "inbox").parts[:2] == ("gpu_usage", "node-1")
    assert file.name == f"{outbox.spool_name(node.spool)}-000000001.parquet"
    assert ship(node.spool, inbox) == []
    assert duckdb.execute(f"select count(*), sum(busy_seconds) from '{file}'").fetchall() == [(24, 60.0)]


def test_a_file_that_a_stopped_run_left_in_the_inbox_is_not_written_again(node: Node, tmp_path: Path) -> None:
    inbox = ToInbox(str(tmp_path / "inbox"), "node-1")
    node.seal()
    commit_points.on("ship.put.after", stop)
    with pytest.raises(Stopped):
        ship(node.spool, inbox)
    commit_points.on("ship.put.after", None)
    [file] = (tmp_path / "inbox").rglob("*.parquet")
    before = file.stat().st_mtime_ns
    assert [one.again for one in ship(node.spool, inbox)] == [True]
    assert file.stat().st_mtime_ns == before


def test_a_node_that_may_only_write_to_the_inbox_takes_the_stores_answer_for_its_arrival(
    node: Node, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers 403 to whoever may put and not look."""
    stored: set[str] = set()

    def answer(asked: Asked) -> Answered:
        if asked.method != "PUT":
            return Answered(status=403)
        again = asked.path in stored
        stored.add(asked.path)
        return Answered(status=412) if again else Answered(headers={"ETag": '"1"'})

    web.answer = answer
    settings = {"ENDPOINT_URL": web.endpoint, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in (settings | {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "none"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    inbox = ToInbox("s3://acme/inbox", "node-1")
    node.seal()
    commit_points.on("ship.put.after", stop)
    with pytest.raises(Stopped):
        ship(node.spool, inbox)
    commit_points.on("ship.put.after", None)
    assert [one.landed for one in ship(node.spool, ToInbox("s3://acme/inbox", "node-1"))] == [12]  # refused as known
    assert outbox.waiting(node.spool) == []
    assert len(stored) == 1


def test_the_command_ships_to_the_lake_of_the_project_and_a_spool_that_is_not_there_is_said(
    node: Node, tmp_path: Path, lake: Lake
) -> None:
    (tmp_path / "farthing.toml").write_text("")
    node.describe()
    node.seal()
    said = farthing("agent", "ship", "--spool", node.spool, "--project", tmp_path, "--json")
    assert said.code == 0
    assert [one["landed"] for one in said.value] == [12]
    assert counted(lake)[0] == 12
    missing = farthing("agent", "ship", "--spool", tmp_path / "nowhere", "--project", tmp_path)
    assert (missing.code, "FARTHING_SPOOL" in missing.err) == (2, True)


def test_a_spool_that_the_disk_refuses_is_said_in_words_and_so_is_a_name_that_is_none(
    node: Node, tmp_path: Path
) -> None:
    node.seal()
    (node.spool / "outbox").write_text("a file")
    said = farthing("agent", "ship", "--spool", node.spool, "--to", tmp_path / "lake")
    assert (said.code, "make room" in said.err) == (3, True)
    said = farthing("agent", "ship", "--spool", node.spool, "--to", tmp_path / "lake", "--node", "../other")
    assert (said.code, "is no name of a node" in said.err) == (2, True)


def test_while_another_ships_the_command_does_nothing_and_says_so(node: Node, tmp_path: Path) -> None:
    node.seal()
    with outbox.shipping(node.spool):
        said = farthing("agent", "ship", "--spool", node.spool, "--to", tmp_path / "lake")
    assert (said.code, "another process ships" in said.err + said.out) == (0, True)
    assert len(outbox.sealed(node.spool)) == 1
