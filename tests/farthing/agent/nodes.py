"""GPU nodes as tests see them: a spool with segments as the sampler writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 11, 2, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """A time as the spool has it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def interval(gpu: str, start: datetime, seconds: int = 10, **more: Any) -> dict[str, Any]:
    """One row of gpu_usage, a quarter busy."""
    return {
        "gpu_uuid": gpu,
        "node_id": "node-1",
        "started_at": stamp(start),
        "ended_at": stamp(start + timedelta(seconds=seconds)),
        "covered_seconds": float(seconds),
        "busy_seconds": seconds / 4,
        "busy_source": "gpm",
        "memory_used_bytes": 1 << 30,
        "energy_joules": 100.5,
        "energy_source": "counter",
        "state": "ok",
        **more,
    }


class Node:
    """A spool in `folder`, which is filled hour by hour."""

    def __init__(self, folder: Path, gpus: int = 2, name: str = "node-1") -> None:
        self.spool, self.gpus, self.name, self.hours = folder / f"spool-{name}", gpus, name, 0
        self.spool.mkdir(parents=True)

    def seal(self, rows: int = 6, *, extra: str = "", ending: str = ".jsonl") -> Path:
        """Another hour's segment, with `rows` intervals of each GPU and the text `extra` after them."""
        start = START + timedelta(hours=self.hours)
        self.hours += 1
        lines = [
            json.dumps(interval(f"{self.name}-GPU-{gpu}", start + timedelta(seconds=10 * number), node_id=self.name))
            for number in range(rows)
            for gpu in range(self.gpus)
        ]
        path = self.spool / f"{start:%Y%m%dT%H%M%SZ}{ending}"
        path.write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
        return path

    def describe(self, **gpus: dict[str, Any]) -> Path:
        """Write node.json with these GPUs, by uuid."""
        path = self.spool / "node.json"
        known = {
            "index": 0, "gpu_model": "NVIDIA H100 80GB HBM3", "source": "gpm", "ring_seconds": 16.5,
            "stamp_clock": "epoch", "call_microseconds": 21.5, "energy": True, "mig": False,
            "memory_bytes": 80 << 30, "state": "ok",
        }  # fmt: skip
        told = {
            "node_id": self.name,
            "library": "/usr/lib/libnvidia-ml.so.1",
            "driver": "550.54.15",
            "sampled_at": stamp(START),
            "gpus": [{"gpu_uuid": name, **known, **facts} for name, facts in gpus.items()],
        }
        path.write_text(json.dumps(told), encoding="utf-8")
        return path
