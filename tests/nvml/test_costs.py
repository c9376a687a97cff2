"""What the agent takes of a node, in real time and over many looks, and that one bad GPU delays no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.telemetry import SECOND_US, SETTLE_US, SystemClock, microseconds
from tests.nvml.nodes import ROOT, Node, Row, keys, rows

pytestmark = pytest.mark.heavy
MakeNode = Callable[..., Node]
_DUTY = "gpu duty 230000 1000000 0"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def _agent(folder: Path, driver: Path, script: list[str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real process on the machine's own clock."""
    folder.mkdir()
    (folder / "script").write_text("\n".join(script) + "\n", encoding="utf-8")
    environment = os.environ | {"NVML_STUB": str(folder / "script"), "LD_LIBRARY_PATH": str(driver)}
    environment |= {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "farthing.agent", "--spool", str(folder / "spool"), "--node", "n", *options]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=environment, cwd=ROOT, stderr=log) as child:
        try:
            yield child
        finally:
            child.terminate()
            child.wait(timeout=20)
    assert child.returncode == 0, (folder / "log").read_text(encoding="utf-8")


def _processor_seconds(child: subprocess.Popen[bytes]) -> float:
    told = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / _TICKS


def _megabytes(child: subprocess.Popen[bytes]) -> float:
    return int(Path(f"/proc/{child.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 1e6


def _of(found: list[Row], index: int) -> list[Row]:
    return [row for row in found if row["gpu_uuid"].endswith(f"-{index:012d}")]


def test_a_gpu_whose_calls_hang_delays_no_other(drivers: dict[str, Path], tmp_path: Path) -> None:
    clock = SystemClock()
    (began, boot), lasts = clock.now(), 30 * SECOND_US
    begin, boot = began + 7 * SECOND_US, boot + 7 * SECOND_US
    script = [
        "gpu model Good",
        _DUTY,
        "gpu model Bad",
        _DUTY,
        f"gpu stall {boot} {boot + lasts}",
        "gpu model Good",
        _DUTY,
    ]
    spool, latest = tmp_path / "node" / "spool", 0.0
    seen: set[tuple[str, str]] = set()
    with _agent(tmp_path / "node", drivers["new"], script, "--interval", "5"):
        while clock.now().wall_us < begin + lasts + 8 * SECOND_US:
            time.sleep(0.05)
            text = "".join(path.read_text(encoding="utf-8") for path in spool.glob("2*"))
            now = clock.now().wall_us
            for row in map(json.loads, text[: text.rfind("\n") + 1].splitlines()):
                if row["gpu_uuid"][-1] != "1" and not keys([row]) <= seen:
                    latest = max(latest, (now - microseconds(row["ended_at"])) / SECOND_US)
                    seen |= keys([row])
    found = rows(spool)
    print(f"latest row of the other GPUs: {latest:.2f} s")
    assert len(seen) >= 2 * 7
    assert 0.3 < latest <= 2
    for index in (0, 2):
        assert {row["state"] for row in _of(found, index)[1:]} == {"ok"}
    hung = [
        (row["state"], row["covered_seconds"])
        for row in _of(found, 1)
        if microseconds(row["started_at"]) >= begin and microseconds(row["ended_at"]) < begin + lasts - 2 * SETTLE_US
    ]
    assert len(hung) >= 4
    assert set(hung) == {("stuck", 0.0)}
    assert _of(found, 1)[-1]["state"] == "ok"


def test_the_sampler_takes_half_a_percent_of_a_core(drivers: dict[str, Path], tmp_path: Path) -> None:
    gpus = [line for _ in range(8) for line in ("gpu model A", _DUTY)]
    with (
        _agent(tmp_path / "quick", drivers["new"], gpus) as quick,
        _agent(tmp_path / "slow", drivers["new"], ["call_us 500", *gpus]) as slow,
    ):
        time.sleep(8)  # its start and the probing are over
        before, began = [_processor_seconds(child) for child in (quick, slow)], time.monotonic()
        time.sleep(30)
        lasted = time.monotonic() - began
        used = [_processor_seconds(child) - at for child, at in zip((quick, slow), before, strict=True)]
        held = [_megabytes(child) for child in (quick, slow)]
    print(f"percent of a core {[round(100 * seconds / lasted, 2) for seconds in used]}, MB {held}")
    assert used[0] / lasted < 0.005
    assert used[1] / lasted < 0.03
    assert max(held) < 40


def test_its_memory_is_flat_over_ten_thousand_looks(node: MakeNode) -> None:
    made = node(*[line for index in range(8) for line in ("gpu model A", _DUTY, f"gpu boot {index % 2}")])
    held = made.run(10_100)["megabytes"]
    print(f"MB held after 1,000 looks {held[10]:.1f}, least {min(held[10:]):.1f}, most {max(held[10:]):.1f}")
    assert len(held) >= 100
    assert max(held) < 40
    assert max(held[10:]) - min(held[10:]) <= 2
