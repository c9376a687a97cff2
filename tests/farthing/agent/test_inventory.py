"""The history of a node's GPUs: a row ends where something changed, and nothing that is merely silent changes it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from farthing.agent import inventory
from farthing.agent.metadata import Machine
from farthing.agent.ship import ToInbox, ToLake, ship_inventory
from farthing.errors import SourceError
from farthing.lake import Lake
from farthing.lake.schemas import GPU_INVENTORY
from tests.collectors.conftest import World
from tests.farthing.agent.nodes import START, Node, stamp

AWS = Machine("i-0abc", "AWS", "us-east-1", "p5.48xlarge")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*inventory.ENVIRONMENT.values(), inventory.RESOURCE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    made.describe(**{"GPU-0": {}, "GPU-1": {}})
    return made


def told(hour: int, *gpus: str | dict[str, Any]) -> dict[str, Any]:
    listed = [{"gpu_uuid": one, "gpu_model": "H100"} if isinstance(one, str) else one for one in gpus]
    return {"node_id": "node-1", "sampled_at": stamp(START + timedelta(hours=hour)), "gpus": listed}


def spans(rows: list[inventory.Row], column: str = "ResourceId") -> list[tuple[str, Any, str, str | None]]:
    return [
        (row["gpu_uuid"], row[column], row["valid_from"][11:13], row["valid_to"] and row["valid_to"][11:13])
        for row in rows
    ]


def test_what_changes_ends_a_row_and_begins_another_and_what_stays_stays() -> None:
    rows = inventory.brought_up([], told(0, "A", "B"), AWS)
    assert inventory.brought_up(rows, told(1, "A", "B"), AWS) == rows
    rows = inventory.brought_up(rows, told(2, "A", "C"), AWS)
    assert spans(rows) == [("A", "i-0abc", "00", None), ("B", "i-0abc", "00", "02"), ("C", "i-0abc", "02", None)]
    rows = inventory.brought_up(rows, told(3, "B"), Machine("i-9"))
    assert spans(rows)[-1] == ("B", "i-9", "03", None)
    assert [row["valid_to"] is None for row in rows] == [False, False, False, True]


def test_a_board_that_is_cut_stands_for_nothing_its_instances_do() -> None:
    board = {"gpu_uuid": "A", "mig": True}
    part = {"gpu_uuid": "MIG-1", "mig": False, "mig_profile": "3g.40gb", "parent_gpu_uuid": "A", "gpu_model": "H100"}
    rows = inventory.brought_up(inventory.brought_up([], told(0, "A"), AWS), told(1, board, part), AWS)
    assert spans(rows, "mig_profile") == [("A", None, "00", "01"), ("MIG-1", "3g.40gb", "01", None)]
    assert rows[1]["parent_gpu_uuid"] == "A"


def test_a_list_without_a_gpu_ends_nothing() -> None:
    rows = inventory.brought_up([], told(0, "A"), AWS)
    assert inventory.brought_up(rows, told(1), AWS) == rows


def test_the_replica_is_the_environments_and_a_shell_without_it_does_not_take_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FARTHING_REPLICA", "llama-7")
    rows = inventory.brought_up([], told(0, "A"), AWS)
    assert rows[0]["replica_id"] == "llama-7"
    monkeypatch.delenv("FARTHING_REPLICA")
    assert inventory.brought_up(rows, told(1, "A"), AWS) == rows
    monkeypatch.setenv("FARTHING_REPLICA", "")
    assert spans(inventory.brought_up(rows, told(2, "A"), AWS), "replica_id")[-1] == ("A", None, "02", None)


def test_a_change_that_the_sampler_did_not_see_still_has_a_moment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = inventory.brought_up([], told(0, "A"), AWS)
    rows = inventory.brought_up(rows, told(0, "A"), Machine("i-9"))
    assert rows[0]["valid_to"] == rows[1]["valid_from"] > rows[0]["valid_from"]


def test_a_silent_metadata_service_moves_no_gpu_and_a_machine_that_nobody_names_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent() -> Machine | None:
        raise SourceError("silent", source="metadata")

    rows = inventory.brought_up([], told(0, "A"), AWS)
    assert inventory.machine_now(silent, rows, "node-1") == AWS
    assert inventory.machine_now(lambda: None, rows, "node-1") == AWS
    assert inventory.machine_now(lambda: None, [], "node-1") == Machine("node-1")
    with pytest.raises(SourceError):
        inventory.machine_now(silent, [], "node-1")
    monkeypatch.setenv("FARTHING_RESOURCE", "rack-7")
    assert inventory.machine_now(silent, [], "node-1").resource == "rack-7"


def held(lake: Lake, folder: Path) -> list[dict[str, Any]]:
    world = World(folder)
    world.lake = lake
    return world.rows(GPU_INVENTORY, "valid_from, gpu_uuid")


def test_the_lake_holds_the_history_once_and_a_new_spool_takes_it_up(node: Node, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    to = ToLake(lake, "node-1")
    assert ship_inventory(node.spool, to, lambda: AWS) == 2
    assert ship_inventory(node.spool, to, lambda: AWS) is None
    assert lake.version(GPU_INVENTORY) == 1
    (node.spool / "inventory.json").unlink()  # the disk is lost
    node.describe(**{"GPU-0": {"gpu_model": "H200"}, "GPU-1": {}})
    now = node.spool / "node.json"
    now.write_text(now.read_text().replace(stamp(START), stamp(START + timedelta(days=1))))
    assert ship_inventory(node.spool, to, lambda: None) == 3
    rows = held(lake, tmp_path)
    assert [(row["gpu_uuid"], row["gpu_model"], row["valid_to"]) for row in rows] == [
        ("GPU-0", "NVIDIA H100 80GB HBM3", datetime(2026, 11, 3)),  # noqa: DTZ001  views have naive UTC
        ("GPU-1", "NVIDIA H100 80GB HBM3", None),
        ("GPU-0", "H200", None),
    ]
    assert {(row["ResourceId"], row["provider"], row["x_source"]) for row in rows} == {("i-0abc", "AWS", "agent")}


def test_an_inbox_has_a_file_for_each_node_that_kind_gpu_inventory_reads(node: Node, tmp_path: Path) -> None:
    to = ToInbox(str(tmp_path / "inbox"), "node-1")
    assert ship_inventory(node.spool, to, lambda: AWS) == 2
    world = World(tmp_path)
    assert world.one("gpu_inventory", "inbox/gpu_inventory/*.parquet").landed == 2
    shutil.rmtree(node.spool)
    again = Node(tmp_path)
    again.describe(**{"GPU-0": {}})
    now = again.spool / "node.json"
    now.write_text(now.read_text().replace(stamp(START), stamp(START + timedelta(days=1))))
    assert ship_inventory(again.spool, to, lambda: AWS) == 2
    assert world.one("gpu_inventory", "inbox/gpu_inventory/*.parquet").landed == 2
    assert [row["valid_to"] for row in world.rows(GPU_INVENTORY, "gpu_uuid")] == [
        None,
        (START + timedelta(days=1)).astimezone(UTC).replace(tzinfo=None),
    ]


def test_before_the_sampler_ran_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert ship_inventory(Node(tmp_path).spool, ToInbox(str(tmp_path / "inbox"), "n"), lambda: AWS) is None
