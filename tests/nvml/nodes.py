"""A node with the stub's driver: its script, its clock, its spool, and the truth to hold the rows against."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.telemetry import SECOND_US, microseconds

ROOT = Path(__file__).resolve().parents[2]
#: The nodes of tests have been up for a day at midnight of 2 November 2026.
BOOT_US = 86_400 * SECOND_US
OFFSET_US = 1_793_577_600 * SECOND_US - BOOT_US
Row = dict[str, Any]
Times = npt.NDArray[np.int64]


class Node:
    """The folder of one node. Times are microseconds since boot; `run` goes on from where the clock stands."""

    def __init__(self, folder: Path, driver: Path, script: Sequence[str], **settings: object) -> None:
        self.folder, self.spool, self.clock = folder, folder / "spool", folder / "clock"
        self.settings = {"wall_offset": OFFSET_US, **settings}
        self.script = folder / "script"
        steps = [f"step {at} {by}" for at, by in self.settings.get("steps", [])]  # type: ignore[attr-defined]
        lines = [f"clock {self.clock}", f"wall_offset {OFFSET_US}", *steps, *script]
        self.script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.set(BOOT_US)
        self.environment = os.environ | {
            "NVML_STUB": str(self.script),
            "LD_LIBRARY_PATH": str(driver),
            "PYTHONPATH": str(ROOT),
        }

    def set(self, boot_us: int) -> None:
        """Set the clock while nobody runs."""
        self.clock.write_bytes(struct.pack("q", boot_us))

    @property
    def now(self) -> int:
        """Where the clock stands, in microseconds since boot."""
        return int(struct.unpack("q", self.clock.read_bytes())[0])

    def start(self, seconds: float, **settings: object) -> subprocess.Popen[str]:
        """The agent until `seconds` after the node's beginning, in a process of its own."""
        given = {
            "spool": str(self.spool),
            "clock": str(self.clock),
            "until": BOOT_US + int(seconds * SECOND_US),
            **self.settings,
            **settings,
        }
        command = [sys.executable, "-m", "tests.nvml.drive", json.dumps(given)]
        return subprocess.Popen(
            command, env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, seconds: float, **settings: object) -> dict[str, Any]:
        """What the agent said: `log`, and processor `seconds`."""
        child = self.start(seconds, **settings)
        out, err = child.communicate(timeout=170)
        assert child.returncode == 0, err
        told: dict[str, Any] = json.loads(out)
        return told

    @property
    def rows(self) -> list[Row]:
        """All rows of the spool in the order of their writing."""
        return rows(self.spool)

    def of(self, index: int) -> list[Row]:
        """The rows of the GPU of that index."""
        return [row for row in self.rows if row["gpu_uuid"].endswith(f"-{index:012d}")]

    @property
    def told(self) -> dict[str, Any]:
        """node.json."""
        found: dict[str, Any] = json.loads((self.spool / "node.json").read_text(encoding="utf-8"))
        return found


def rows(spool: Path) -> list[Row]:
    """All rows of a spool; a torn line is an error here."""
    paths = sorted([*spool.glob("*.jsonl"), *spool.glob("*.open")], key=lambda path: path.name)
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def keys(found: Sequence[Row]) -> set[tuple[str, str]]:
    """What must not come twice."""
    return {(row["gpu_uuid"], row["started_at"]) for row in found}


def total(found: Sequence[Row], name: str) -> float:
    """The sum of a column."""
    return float(sum(row[name] or 0.0 for row in found))


class Trace:
    """Busy intervals of a GPU and their exact integral."""

    def __init__(self, starts: Times, ends: Times) -> None:
        self.starts, self.ends = starts, ends
        self._sums = np.concatenate([[0], np.cumsum(ends - starts)])

    @classmethod
    def bursty(cls, seconds: float, seed: int, busy: float = 0.35, idle: float = 1.05) -> Trace:
        """Bursts of decoding: busy and idle times are exponential with these means in seconds."""
        random = np.random.default_rng(seed)
        number = int(seconds / (busy + idle) * 1.2) + 10
        lengths = np.stack([random.exponential(idle, number), random.exponential(busy, number)], axis=1) * SECOND_US
        edges = BOOT_US - 60 * SECOND_US + np.cumsum(np.maximum(lengths.reshape(-1), 100.0)).astype(np.int64)
        return cls(edges[0::2], edges[1::2])

    def write(self, path: Path) -> Path:
        """As the stub reads it."""
        np.stack([self.starts, self.ends], axis=1).tofile(path)
        return path

    def until(self, at_us: Times) -> Times:
        """Busy microseconds before each of `at_us`."""
        place = np.searchsorted(self.starts, at_us, side="left")
        last = np.maximum(place - 1, 0)
        part = np.minimum(self.ends[last], at_us) - self.starts[last]
        found: Times = np.where(place > 0, self._sums[last] + part, 0)
        return found

    def seconds(self, found: Sequence[Row]) -> npt.NDArray[np.float64]:
        """The busy seconds that each row should have."""
        edges = [
            np.array([microseconds(row[name]) - OFFSET_US for row in found]) for name in ("started_at", "ended_at")
        ]
        made: npt.NDArray[np.float64] = (self.until(edges[1]) - self.until(edges[0])) / SECOND_US
        return made
