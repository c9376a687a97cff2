"""The agent as a process of its own, in real time: a GPU whose calls hang, and what sampling costs a node."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]
import pytest

from collectors.telemetry import SECOND_US, microseconds
from tests.nvml.nodes import ROOT, Node, rows

MakeNode = Callable[..., Node]
_DUTY = "gpu duty 230000 1000000 0"
_EIGHT = [line for _ in range(8) for line in ("gpu model A", _DUTY)]
pytestmark = pytest.mark.heavy


@contextmanager
def running(made: Node, interval: int = 10) -> Iterator[psutil.Process]:
    """`python -m farthing.agent` on the machine's own clocks, ended by SIGTERM."""
    script = [line for line in made.script.read_text(encoding="utf-8").splitlines() if not line.startswith("clock ")]
    made.script.write_text("\n".join(script) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "farthing.agent", "--spool", str(made.spool), "--interval", str(interval)]
    child = subprocess.Popen(command, env=made.environment, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said.decode()


def _boot_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def test_while_all_calls_of_one_gpu_hang_the_rows_of_the_others_are_on_time(node: MakeNode) -> None:
    stall = [_boot_us() + 12 * SECOND_US, _boot_us() + 42 * SECOND_US]
    made = node("gpu model Good", _DUTY, "gpu model Bad", _DUTY, f"gpu stall {stall[0]} {stall[1]}")
    seen: dict[tuple[str, str], float] = {}
    with running(made, interval=2):
        while _boot_us() < stall[1] + 8 * SECOND_US:
            time.sleep(0.1)
            for row in rows(made.spool) if made.spool.exists() else []:
                seen.setdefault((row["gpu_uuid"], row["ended_at"]), time.time())
    late = [at - microseconds(ended) / SECOND_US for (uuid, ended), at in seen.items() if uuid.endswith("0")]
    assert len(late) > 15
    assert max(late) <= 2 + 2  # a bucket is closed two seconds after its end
    good, bad = made.of(0), made.of(1)
    assert {row["state"] for row in good[1:-1]} == {"ok"}
    spoiled = [row for row in bad if row["state"] in ("stuck", "lost")]
    assert len(spoiled) >= 12
    assert {row["covered_seconds"] for row in spoiled} == {0.0}
    assert bad[-2]["state"] == "ok"


@pytest.mark.parametrize(("call_us", "share"), [(0, 0.005), (500, 0.03)])
def test_sampling_eight_gpus_each_second_takes_little_of_a_core(call_us: int, share: float, node: MakeNode) -> None:
    made = node(f"call_us {call_us}", *_EIGHT)
    with running(made) as process:
        time.sleep(5)
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(40)
        after, seconds = process.cpu_times(), time.monotonic() - began
        megabytes = process.memory_info().rss / 1e6
    used = (after.user + after.system - before.user - before.system) / seconds
    print(f"{call_us} us a call: {used:.2%} of a core, {megabytes:.1f} MB")
    assert used < share
    assert megabytes < 40
    assert len({row["gpu_uuid"] for row in made.rows}) == 8


def test_ten_thousand_seconds_take_no_more_memory_than_one_thousand(node: MakeNode) -> None:
    told = node(*_EIGHT).run(10_000)
    settled = [kilobytes / 1000 for kilobytes in told["resident_kb"][1:]]
    print(f"resident each 1,000 s: {settled} MB")
    assert len(settled) >= 9
    assert max(settled) - min(settled) <= 1
