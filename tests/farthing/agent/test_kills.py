"""Shipping as it happens on a node: real processes that are killed, that start together, and a real object store."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from farthing.agent import outbox
from farthing.agent.schedule import shipping
from farthing.lake import Lake
from farthing.lake.schemas import GPU_USAGE
from tests.conftest import ROOT
from tests.farthing.agent.nodes import Node
from tests.servers import S3

pytestmark = pytest.mark.heavy

_MAIN = "from farthing.cli import main; main()"
_KILLED_AT = """
import os, signal, sys
from farthing import commit_points
point = sys.argv.pop(1)
commit_points.on(point, lambda: os.kill(os.getpid(), signal.SIGKILL))
from farthing.cli import main
main()
"""


def started(node: Node, to: str, *, code: str = _MAIN, first: str = "", **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *first.split(), "agent", "ship", "--spool", str(node.spool), "--to", to]
    environment = {**os.environ, **more, "FARTHING_RESOURCE": "i-1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> None:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, said


def counted(lake: Lake) -> tuple[int, int]:
    with duckdb.connect() as con:
        lake.view(con, GPU_USAGE)
        [answer] = con.execute("select count(*), count(distinct (gpu_uuid, started_at)) from lake.gpu_usage").fetchall()
    return answer


@pytest.mark.parametrize("point", ["lake.gpu_usage.before", "lake.gpu_usage.after", "ship.seen"])
def test_a_kill_around_the_commit_leaves_each_row_once(tmp_path: Path, point: str) -> None:
    node, lake = Node(tmp_path), Lake(str(tmp_path / "lake"))
    for _ in range(3):
        node.seal()
    killed = started(node, lake.path, code=_KILLED_AT, first=point)
    ended(killed, -signal.SIGKILL)
    for _ in range(2):
        again = started(node, lake.path)
        ended(again)
    assert counted(lake) == (36, 36)
    assert outbox.waiting(node.spool) == []


def test_kills_at_random_moments_leave_each_row_once(tmp_path: Path) -> None:
    node, lake, random_ = Node(tmp_path), Lake(str(tmp_path / "lake")), random.Random(7)
    for _ in range(8):
        node.seal(rows=300)
        process = started(node, lake.path)
        time.sleep(random_.uniform(0.3, 3.5))
        process.kill()
        process.communicate()
    last = started(node, lake.path)
    ended(last)
    assert counted(lake) == (4800, 4800)
    assert outbox.waiting(node.spool) == []


def test_two_shippers_of_one_spool_and_nodes_that_ship_together_leave_each_row_once(tmp_path: Path) -> None:
    nodes, lake = [Node(tmp_path, name=f"node-{each}") for each in range(3)], Lake(str(tmp_path / "lake"))
    for node in nodes:
        node.seal(rows=50)
    processes = [started(node, lake.path) for node in (*nodes, *nodes)]
    for process in processes:
        ended(process)
    assert counted(lake) == (300, 300)


def test_the_child_of_the_schedule_ships_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, lake, said = Node(tmp_path), Lake(str(tmp_path / "lake")), list[str]()
    node.seal()
    monkeypatch.setenv("FARTHING_SHIP", lake.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    schedule = shipping(node.spool, said.append)
    schedule._next = 0
    deadline = time.monotonic() + 120
    while outbox.waiting(node.spool):
        schedule.tick()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    schedule.stop()
    assert said == []
    assert counted(lake) == (12, 12)


def test_an_inbox_in_s3_gets_each_batch_once_and_is_collected(tmp_path: Path, s3: S3) -> None:
    node = Node(tmp_path)
    node.describe(**{"node-1-GPU-0": {}, "node-1-GPU-1": {}})
    inbox = f"inbox:s3://{s3.bucket}/inbox"
    node.seal()
    killed = started(node, inbox, code=_KILLED_AT, first="ship.put.after", **s3.options)
    ended(killed, -signal.SIGKILL)
    node.seal()
    again = started(node, inbox, **s3.options)
    ended(again)
    options = "\n".join(f'{name} = "{value}"' for name, value in s3.options.items())
    (tmp_path / "farthing.toml").write_text(
        f'[lake]\npath = "lake"\n[lake.storage_options]\n{options}\n'
        f'[sources.gpus]\nkind = "gpu_usage"\npath = "s3://{s3.bucket}/inbox/gpu_usage/**/*.parquet"\n'
        f'[sources.inventory]\nkind = "gpu_inventory"\npath = "s3://{s3.bucket}/inbox/gpu_inventory/*.parquet"\n'
    )
    for _ in range(2):
        collect = [sys.executable, "-c", _MAIN, "collect", "--project", str(tmp_path)]
        subprocess.run(collect, cwd=ROOT, check=True, timeout=120)
    lake = Lake(str(tmp_path / "lake"))
    assert counted(lake) == (24, 24)
    assert sum(file.rows for file in lake.files(GPU_USAGE)) == 24
