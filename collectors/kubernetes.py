"""Batch work of a Kubernetes cluster: pods with GPUs that belong to a Job or to another owner that ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl

from collectors import gpu_series, jobs, kube_state
from collectors.gpu_exporters import exporter_of
from collectors.kind import Deliverable
from collectors.kube_state import Pod
from collectors.promql import Labels, Server
from collectors.statements import Statement
from collectors.windows import Asked, content_of
from farthing import clock
from farthing.config import Config, Source
from farthing.lake import Lake

_OTHERS = dict.fromkeys(("team_id", "user_id", "experiment", "model_produced"), "")
#: What keeps pods running; whatever else owns a pod lets it end.
_SERVING = frozenset({"ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Node", "<none>", ""})
#: How far back a pod that still runs, or ended since, is looked for.
_HORIZON = timedelta(days=35)
#: A pod that was seen so short a time ago is still there.
_FRESH = timedelta(minutes=10)
_TEXT = (
    *("job_id", "run_id", "experiment", "model_produced", "team_id", "user_id", "gpu_uuids", "node_id", "gpu_count"),
    "status",
)
_COLUMNS = {
    **dict.fromkeys(_TEXT, pl.String()),
    **dict.fromkeys(("started_at", "ended_at"), pl.Datetime("us", "UTC")),
}


@dataclass(frozen=True)
class _Seen:
    """A pod with GPUs: its node, how many it asked for, and when it was seen."""

    node: str
    gpus: int
    first: datetime
    last: datetime


class PodJobs(Asked):
    """The collector of a cluster's batch pods: a delivery for each day on which one began."""

    title = "kubernetes jobs"
    length = timedelta(days=1)

    def metrics(self, name: str, source: Source) -> Sequence[str]:
        """What kube-state-metrics says of pods with GPUs."""
        exporter_of(name, source, _OTHERS)
        return ["kube_pod_container_resource_requests"]

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The days on which batch pods began that ran in the last 35 days, as far as the server still knows them whole.

        Raises:
            ConfigError: a setting is missing, means nothing here, or `since` is to come.
            SourceError: the server refuses or does not answer.
        """
        windows = self.asked_windows(name, source, max(clock.now() - _HORIZON, datetime.fromtimestamp(0, UTC)))
        if windows is None:
            return []
        server, begin, now = windows
        days: dict[date, list[dict[str, Any]]] = {}
        for row in _rows(name, source, server, begin, now):
            if row["started_at"] >= begin:
                days.setdefault(row["started_at"].date(), []).append(row)
        # Of a day that the server has half forgotten, what is left would take the place of what landed.
        if begin.date() in days and self._forgets(name, config, begin.date(), days[begin.date()]):
            del days[begin.date()]
        return [self._day(day, rows) for day, rows in sorted(days.items())]

    def _forgets(self, name: str, config: Config, day: date, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a day landed with pods that the server does not know any more."""
        lake = Lake(config.lake_path, config.lake.storage_options)
        if lake.version(self.table) is None:
            return False
        with duckdb.connect() as con:
            lake.view(con, self.table)
            landed = con.execute(
                f"select job_id from lake.{self.table.name} where x_source = ? and x_load = ?", [name, self._load(day)]
            ).fetchall()
        return not {job for (job,) in landed} <= {row["job_id"] for row in rows}

    def _load(self, day: date) -> str:
        return f"{self.title} {day:%Y-%m-%d}"

    def _day(self, day: date, rows: Sequence[Mapping[str, Any]]) -> Statement:
        frame = pl.DataFrame(sorted(rows, key=lambda row: str(row["job_id"])), schema=_COLUMNS)
        size = int(frame.estimated_size())
        return Statement(self._load(day), size, content_of(frame), self.title, lambda _: frame.lazy())


def _rows(name: str, source: Source, server: Server, begin: datetime, end: datetime) -> list[dict[str, Any]]:
    """A row per batch pod; `run_id` is what owns it."""
    seen = _pods(server, begin, end)
    owners = {
        pod: labels
        for labels, _ in server.last(server.selector("kube_pod_owner"), begin, end)
        if (pod := kube_state.pod_of(labels)) in seen
    }
    phases = {
        pod: labels.get("phase", "")
        for labels, value in server.last(server.selector("kube_pod_status_phase"), begin, end)
        if value == 1 and (pod := kube_state.pod_of(labels)) in seen
    }
    started = _times(server, "kube_pod_start_time", begin, end)
    completed = _times(server, "kube_pod_completion_time", begin, end)
    labels = kube_state.pod_labels(server, begin, end)
    gpus = _gpus(name, source, server, begin, end)
    rows = []
    for pod, one in seen.items():
        owner = owners.get(pod, {})
        if owner.get("owner_kind", "") in _SERVING:
            continue
        ended = completed.get(pod) or (one.last if one.last < end - _FRESH else None)
        gone = ended is not None and pod not in completed
        own, phase = labels.get(pod, {}), phases.get(pod, "").lower()
        rows.append({
            "job_id": "/".join(pod),
            "run_id": f"{pod[0]}/{owner['owner_name']}" if owner.get("owner_name") else None,
            "experiment": kube_state.first(own, kube_state.named(source, "experiment")),
            "model_produced": kube_state.first(own, kube_state.named(source, "model_produced")),
            "team_id": kube_state.first(own, kube_state.named(source, "team_id", "label_team")),
            "user_id": kube_state.first(own, kube_state.named(source, "user_id", "label_user")),
            "gpu_uuids": " ".join(sorted(gpus.get(pod, ()))) or None,
            "node_id": one.node,
            "gpu_count": str(one.gpus),
            "started_at": started.get(pod, one.first),
            "ended_at": ended,
            "status": "deleted" if gone and phase in ("", "running") else phase or None,
        })  # fmt: skip
    return rows


def _pods(server: Server, begin: datetime, end: datetime) -> dict[Pod, _Seen]:
    """The pods that asked for GPUs and were on a node."""
    selector = server.selector("kube_pod_container_resource_requests", kube_state.GPU_RESOURCES)
    told = server.seen(selector, begin, end)
    counts = kube_state.gpu_counts((labels, value) for labels, _, _, value in told)
    found: dict[Pod, _Seen] = {}
    for labels, first, last, _ in told:
        pod, node = kube_state.pod_of(labels), labels.get("exported_node") or labels.get("node")
        if pod and node and pod in counts:
            old = found.get(pod)
            found[pod] = _Seen(
                node, counts[pod], min(first, old.first) if old else first, max(last, old.last) if old else last
            )
    return found


def _times(server: Server, metric: str, begin: datetime, end: datetime) -> dict[Pod, datetime]:
    return {
        pod: datetime.fromtimestamp(value, UTC)
        for labels, value in server.last(server.selector(metric), begin, end)
        if (pod := kube_state.pod_of(labels)) and value > 0
    }


def _gpus(name: str, source: Source, server: Server, begin: datetime, end: datetime) -> dict[Pod, set[str]]:
    """The GPUs on which the exporter saw each pod: on a node that pods share, the only way to tell."""
    exporter = exporter_of(name, source, _OTHERS)
    told: list[tuple[Labels, float]] = []
    for metric in exporter.busy:
        told += server.last(server.selector(metric.name), begin, end)
    targets = gpu_series.Targets.of(server, [labels for labels, _ in told], begin, end)
    series = [(0, exporter.busy[0], (labels, [(0, 0.0)])) for labels, _ in told]
    found: dict[Pod, set[str]] = {}
    for row in gpu_series.samples(series, targets, exporter).told.iter_rows(named=True):
        if row["owner_pod"] and row["gpu_uuid"]:
            found.setdefault((row["owner_namespace"] or "", row["owner_pod"]), set()).add(row["gpu_uuid"])
    return found


COLLECTOR = PodJobs(jobs.KIND)
