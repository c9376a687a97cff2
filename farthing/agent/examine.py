"""Is everything in order on a GPU node: the driver, how each GPU is observed, the clock, the spool and the shipping."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from farthing import clock, console
from farthing.agent import inventory, outbox
from farthing.doctor import Check
from farthing.errors import ConfigError

#: Beyond its interval the agent is never so long without a row.
_SILENT = timedelta(minutes=5)
#: Segments are sealed each hour and shipped each quarter of an hour.
_LATE = timedelta(hours=3)
_SKEW_SECONDS = 2.0
_FREE_BYTES = 1 << 30
_TIMEOUT_SECONDS = 5.0


def examine(spool: Path, to: str | None) -> list[Check]:
    """All that can be said of the node whose agent writes `spool` and ships `to` (as FARTHING_SHIP says it)."""
    if not spool.is_dir():
        fix = "start farthing agent, or name its spool with --spool or FARTHING_SPOOL"
        return [Check("node", "spool", "finding", f"{spool} is not there", fix)]
    return [*_node(spool), _clock(to), *_spool(spool, to), *_machine(spool)]


def _node(spool: Path) -> list[Check]:
    try:
        told = inventory.node(spool)
    except ConfigError as error:
        return [Check("node", "agent", "finding", error.problem, error.fix)]
    if told is None:
        return [Check("node", "agent", "finding", "it has not said yet what this node has", "start farthing agent")]
    checks = [
        Check("node", "name", "ok", str(told["node_id"])),
        Check("node", "library", "ok", str(told.get("library"))),
        Check("node", "driver", "ok", str(told.get("driver"))),
        _alive(spool),
    ]
    boards = {gpu["gpu_uuid"]: gpu for gpu in told["gpus"] if gpu.get("mig")}
    for gpu in told["gpus"]:
        instances = [one for one in told["gpus"] if one.get("parent_gpu_uuid") == gpu["gpu_uuid"]]
        checks.append(_board(gpu, instances) if gpu["gpu_uuid"] in boards else _gpu(gpu))
    return checks


def _alive(spool: Path) -> Check:
    """Whether rows are written; node.json is written only when something changes."""
    written = {path.stat().st_mtime: path for path in (*spool.glob("*.open"), *spool.glob("*.jsonl"))}
    if not written:
        return Check("node", "last row", "note", "no row yet: the first comes within an interval")
    age = clock.now() - datetime.fromtimestamp(max(written), UTC)
    silent = age > _SILENT + _interval(written[max(written)])
    fix = "is farthing agent running? look at its log (journalctl -u farthing-agent)" if silent else ""
    return Check("node", "last row", "finding" if silent else "ok", f"written {_age(age)} ago", fix)


def _interval(segment: Path) -> timedelta:
    """How long the interval of its last row is."""
    try:
        last = json.loads(segment.read_bytes().splitlines()[-1])
        return datetime.fromisoformat(last["ended_at"]) - datetime.fromisoformat(last["started_at"])
    except (OSError, IndexError, ValueError, KeyError, TypeError):
        return timedelta()


def _board(gpu: Mapping[str, Any], instances: list[Mapping[str, Any]]) -> Check:
    cut = ", ".join(f"{one.get('mig_profile') or 'unknown'}" for one in instances) or "none"
    return Check(f"gpu {gpu.get('index')}", gpu["gpu_uuid"], *_state(gpu, f"{gpu.get('gpu_model')}, MIG: {cut}"))


def _gpu(gpu: Mapping[str, Any]) -> Check:
    ring, call = gpu.get("ring_seconds"), gpu.get("call_microseconds")
    facts = [
        str(gpu.get("gpu_model")),
        str(gpu["mig_profile"]) if gpu.get("mig_profile") else "",
        f"observed by {gpu.get('source')}",
        f"ring {ring:.1f} s" if ring else "no ring",
        f"stamps by {gpu['stamp_clock']}" if gpu.get("stamp_clock") else "",
        f"{call:.0f} us per call" if call is not None else "us per call not known",
        "energy" if gpu.get("energy") else "no energy",
    ]
    status, detail, fix = _state(gpu, ", ".join(fact for fact in facts if fact))
    return Check(f"gpu {gpu.get('index')}", gpu["gpu_uuid"], status, detail, fix)


def _state(gpu: Mapping[str, Any], detail: str) -> tuple[Any, str, str]:
    if gpu.get("state") == "ok":
        return "ok", detail, ""
    return "finding", f"{detail}, {gpu.get('state')}", "see nvidia-smi and the kernel's log (dmesg, Xid)"


def _clock(to: str | None) -> Check:
    """This machine's clock against the server that telemetry goes to; any answer of it has a date."""
    url = _server(to)
    skew = _skew(url) if url else None
    if skew is None:
        return Check("node", "clock skew", "note", "not known: no server with a date to compare with; use NTP")
    off = abs(skew) > _SKEW_SECONDS
    detail = f"{skew:+.1f} s against {urlsplit(url or '').netloc}"
    return Check("node", "clock skew", "finding" if off else "ok", detail, "set the clock; use NTP" if off else "")


def _server(to: str | None) -> str | None:
    """An address of the store behind `to`; None where there is none that is known."""
    parts = urlsplit((to or "").removeprefix("inbox:"))
    settings = {name.upper(): value for name, value in os.environ.items()}
    if parts.scheme in ("s3", "s3a"):
        region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or "us-east-1"
        return settings.get("AWS_ENDPOINT_URL") or f"https://s3.{region}.amazonaws.com"
    if parts.scheme in ("gs", "gcs"):
        return "https://storage.googleapis.com"
    if parts.scheme in ("az", "azure", "abfs", "abfss") and settings.get("AZURE_STORAGE_ACCOUNT_NAME"):
        return f"https://{settings['AZURE_STORAGE_ACCOUNT_NAME']}.blob.core.windows.net"
    return parts.geturl() if parts.scheme in ("http", "https") else None


def _skew(url: str) -> float | None:
    """Seconds that this machine's clock is ahead of the server's, whose date has whole seconds."""
    before, began = clock.now(), time.monotonic()
    try:
        answer = httpx.head(url, timeout=_TIMEOUT_SECONDS)
        dated = parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError, TypeError):
        return None
    took = time.monotonic() - began
    ahead = (before - dated).total_seconds()  # the server's moment lies in [dated, dated + 1 s), within `took`
    low, high = ahead - 1, ahead + took
    return 0.0 if low <= 0 <= high else low if low > 0 else high


def _spool(spool: Path, to: str | None) -> list[Check]:
    waiting, refused = outbox.waiting(spool), outbox.refused(spool)
    size = sum(path.stat().st_size for path in waiting)
    free = shutil.disk_usage(spool).free
    tight = free < _FREE_BYTES
    checks = [
        Check(
            "spool",
            str(spool),
            "finding" if tight else "ok",
            f"{len(waiting)} segments, {console.size(size)}; {console.size(free)} free",
            "make room: rows wait in memory when the disk is full" if tight else "",
        )
    ]
    begun = [moment for path in waiting if path.suffix != ".open" and (moment := outbox.began(path))]
    if not begun:
        checks.append(Check("spool", "oldest unshipped", "ok", "none: all that is sealed is shipped"))
    else:
        age = clock.now() - min(begun)
        late = age > _LATE
        fix = "farthing agent ship says what is wrong" if to else "set FARTHING_SHIP, or run farthing agent ship"
        checks.append(
            Check("spool", "oldest unshipped", "finding" if late else "ok", f"{_age(age)} old", fix if late else "")
        )
    checks.append(
        Check("spool", "ships to", "ok" if to else "note", to or "nowhere by itself: FARTHING_SHIP is not set")
    )
    if refused:
        lines = sum(len(path.read_bytes().splitlines()) for path in refused)
        fix = "look at them, then delete the files"
        checks.append(Check("spool", "refused lines", "finding", f"{lines:,} in {refused[0].parent}", fix))
    return checks


def _machine(spool: Path) -> list[Check]:
    """The billed machine that the inventory puts the GPUs on."""
    try:
        rows = [row for row in inventory.known(spool) or [] if row["valid_to"] is None]
    except ConfigError as error:
        return [Check("inventory", "ResourceId", "finding", error.problem, error.fix)]
    if not rows:
        return [Check("inventory", "ResourceId", "note", "not written yet: farthing agent ship does it")]
    last = rows[-1]
    cloud = ", ".join(str(last[name]) for name in ("provider", "region", "instance_type") if last[name])
    told = f"{last['ResourceId']} ({cloud or 'no cloud'}), {len(rows)} GPUs or instances"
    return [Check("inventory", "ResourceId", "ok", told)]


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
