"""The agent on a machine that has no driver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.nvml.nodes import ROOT


def test_without_a_driver_the_agent_says_what_to_do_and_exits_3(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"no library")  # hides one that the machine may have
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "farthing.agent", "--spool", str(tmp_path / "spool")]
    ended = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert "there is no NVIDIA driver on this machine. Fix: install the driver" in ended.stderr
    assert "--simulated 2" in ended.stderr
