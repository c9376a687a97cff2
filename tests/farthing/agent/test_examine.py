"""What `farthing doctor --node` says of a node, and what it makes a finding."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.agent.examine import examine
from farthing.agent.ship import ToInbox, ToLake, ship, ship_inventory
from farthing.doctor import Check
from farthing.lake import Lake
from tests.farthing.agent.nodes import START, Node
from tests.farthing.agent.test_inventory import AWS
from tests.farthing.commands import farthing
from tests.servers import Answered, Web


def looked(node: Node, to: str | None = None, hours: float = 1.05) -> dict[str, Check]:
    """The checks by subject, some hours after the node's first row."""
    for path in node.spool.glob("*.*"):
        os.utime(path, (START.timestamp() + 3600, START.timestamp() + 3600))
    with clock.fixed(START + timedelta(hours=hours)):
        return {check.subject: check for check in examine(node.spool, to)}


def test_a_node_in_order_is_described_gpu_by_gpu_and_has_no_finding(tmp_path: Path) -> None:
    node = Node(tmp_path)
    board: dict[str, Any] = {"mig": True, "index": 1}
    part: dict[str, Any] = {
        "parent_gpu_uuid": "GPU-1",
        "mig_profile": "3g.40gb",
        "index": 1,
        "energy": False,
        "ring_seconds": None,
    }
    node.describe(**{"GPU-0": {"source": "nvml_ring"}, "GPU-1": board, "MIG-1": part})
    node.seal(ending=".open")
    ship_inventory(node.spool, ToInbox(str(tmp_path / "inbox"), "node-1"), lambda: AWS)
    checks = looked(node)
    assert not [check for check in checks.values() if check.status == "finding"]
    assert checks["driver"].detail == "550.54.15"
    assert checks["library"].detail == "/usr/lib/libnvidia-ml.so.1"
    ring = "NVIDIA H100 80GB HBM3, observed by nvml_ring, ring 16.5 s, stamps by epoch, 22 us per call, energy"
    assert checks["GPU-0"].detail == ring
    assert checks["GPU-1"].detail == "NVIDIA H100 80GB HBM3, MIG: 3g.40gb"
    assert "3g.40gb, observed by gpm, no ring" in checks["MIG-1"].detail
    assert "no energy" in checks["MIG-1"].detail
    assert checks["ResourceId"].detail == "i-0abc (AWS, us-east-1, p5.48xlarge), 2 GPUs or instances"
    assert checks["clock skew"].detail.startswith("not known")
    assert checks["oldest unshipped"].detail == "none: all that is sealed is shipped"


def test_a_lost_gpu_a_silent_agent_and_segments_that_wait_are_findings(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.describe(**{"GPU-0": {"state": "lost"}})
    node.seal()
    checks = looked(node, to=str(tmp_path / "lake"), hours=5)
    wrong = {subject: check.detail for subject, check in checks.items() if check.status == "finding"}
    assert set(wrong) == {"GPU-0", "last row", "oldest unshipped"}
    assert wrong["GPU-0"].endswith("lost")
    assert (wrong["last row"], wrong["oldest unshipped"]) == ("written 4 h ago", "5 h old")


def test_lines_that_were_refused_are_a_finding_until_somebody_looks(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.describe(**{"GPU-0": {}})
    node.seal(extra="torn\n")
    ship(node.spool, ToLake(Lake(str(tmp_path / "lake")), "node-1"))
    assert looked(node)["refused lines"].detail.startswith("1 in ")


def test_the_clock_is_held_against_the_store_whatever_it_answers(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.endpoint)
    web.answer = lambda _: Answered(status=403)

    def skew() -> Check:
        return {check.subject: check for check in examine(node.spool, "inbox:s3://acme/inbox")}["clock skew"]

    assert (skew().status, skew().detail[:6]) == ("ok", "+0.0 s")
    with clock.fixed(clock.now() - timedelta(seconds=30)):
        assert skew().status == "finding"
        assert -31 < float(skew().detail.split()[0]) < -27
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert skew().detail.startswith("not known")


def test_the_command_needs_no_project_and_exits_1_with_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FARTHING_SHIP", raising=False)
    node = Node(tmp_path)
    said = farthing("doctor", "--node", "--spool", node.spool, "--json")
    assert said.code == 1
    assert [one["subject"] for one in said.value["checks"] if one["status"] == "finding"] == ["agent"]
    assert farthing("doctor", "--node", "--spool", tmp_path / "nowhere").code == 1
    node.describe(**{"GPU-0": {}})
    node.seal(ending=".open")
    assert farthing("doctor", "--node", "--spool", node.spool).code == 0
