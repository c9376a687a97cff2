"""Who held which GPU of a Kubernetes cluster, and when: its exporter names pods, kube-state-metrics the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from collectors import gpu_inventory, gpu_series, kube_state
from collectors.gpu_exporters import exporter_of
from collectors.kube_state import Node, Pod
from collectors.promql import Labels, Server
from collectors.raw import LINE, PROBLEM, RAW
from collectors.windows import Asked, Window
from farthing.config import Source

#: Columns that labels of pods and nodes may give, besides those of the exporter.
_OTHERS = dict.fromkeys(("team_id", "model", "replica_id", "ResourceId", "region", "instance_type"), "")
#: A pod whose label is missing for so long, and that is back on its GPU then, had it all the time.
_FLICKER_MS = 300_000
#: A GPU that was seen so short a time ago is still there.
_FRESH_MS = 600_000
_BEFORE, _AFTER = timedelta(minutes=15), timedelta(minutes=11)
_INTERVAL_MS = 30_000
_COLUMNS = {
    LINE: pl.Int64(),
    RAW: pl.String(),
    PROBLEM: pl.String(),
    **dict.fromkeys(("gpu_uuid", "parent_gpu_uuid", "node_id", "ResourceId", "replica_id", "gpu_model"), pl.String()),
    "mig_profile": pl.String(),
    "share": pl.Float64(),
    **dict.fromkeys(("team_id", "model", "provider", "region", "instance_type"), pl.String()),
    **dict.fromkeys(("valid_from", "valid_to"), pl.Datetime("us", "UTC")),
}


@dataclass(frozen=True)
class _Held:
    """A stretch of a GPU's time, in milliseconds since 1970, and who had it; nobody where there is no pod."""

    begin: int
    end: int
    pod: Pod | None
    share: float | None = None


class Inventory(Asked):
    """The collector of a cluster's GPUs: a window per day, a row per GPU, holder and stretch of the day."""

    title = "kubernetes gpus"
    length = timedelta(days=1)

    def metrics(self, name: str, source: Source) -> Sequence[str]:
        """Those of the exporter that tell how busy a GPU is: what has them is there."""
        return exporter_of(name, source, _OTHERS).metrics

    def rows(self, name: str, source: Source, server: Server, window: Window) -> pl.DataFrame:
        """The stretches of a day in which each GPU was held by a pod, or by nobody.

        Raises:
            ConfigError: a column names nothing that is known.
            SourceError: the server refuses or does not answer.
        """
        exporter = exporter_of(name, source, _OTHERS)
        begin, late = window.begin - _BEFORE, min(window.end + _AFTER, window.now)
        series, targets = gpu_series.read(server, exporter.busy, begin, late)
        read = gpu_series.samples(series, targets, exporter, most=float("inf"))
        points = gpu_series.boards_only(read.joined)
        nodes = kube_state.nodes(server, source, begin, window.end)
        requests = server.last(
            server.selector("kube_pod_container_resource_requests", kube_state.GPU_RESOURCES), begin, window.end
        )
        asked, labels = kube_state.shares(requests), kube_state.pod_labels(server, begin, window.end)
        physical = points.group_by("node_id").agg(pl.col("board").n_unique().alias("gpus"))
        gpus_of = dict(physical.iter_rows())
        made: list[dict[str, Any]] = []
        for (gpu,), own in points.sort("gpu_uuid", "t").group_by("gpu_uuid", maintain_order=True):
            told = own.row(-1, named=True)
            node = nodes.get(told["node_id"] or "")
            part = _part(node, gpus_of.get(told["node_id"], 0)) if told["mig_profile"] is None else None
            stretches = _shared(_stretches(own), asked, part, whole=told["gpu_instance_id"] is not None)
            found = (_row(source, told, node, held, labels, window, str(gpu)) for held in stretches)
            made.extend(row for row in found if row is not None)
        rows = [{LINE: line, **row} for line, row in enumerate(made, 1)]
        return pl.DataFrame(rows, schema=_COLUMNS)


def _part(node: Node | None, gpus: int) -> float | None:
    """Which part of a GPU one of those is that the node offers: time-sliced ones are more than it has."""
    if node is None or not node.replicas or not gpus or node.replicas <= gpus:
        return None
    return gpus / node.replicas


def _stretches(points: pl.DataFrame) -> list[_Held]:
    """Who held a GPU from its first sample to its last: what a sample says holds since the one before."""
    times = points["t"].unique().sort().to_list()
    apart = sorted(b - a for a, b in pairwise(times))
    before = dict(
        zip(times, [times[0] - (apart[len(apart) // 2] if apart else _INTERVAL_MS), *times[:-1]], strict=True)
    )
    pods: dict[Pod, list[list[int]]] = {}
    for t, namespace, pod in points.select("t", "owner_namespace", "owner_pod").unique().sort("t").iter_rows():
        if pod is None:
            continue
        runs = pods.setdefault((namespace or "", pod), [])
        if runs and before[t] - runs[-1][1] <= _FLICKER_MS:
            runs[-1][1] = t
        else:
            runs.append([before[t], t])
    held = [_Held(begin, end, pod) for pod, runs in pods.items() for begin, end in runs]
    moments = sorted({before[times[0]], times[-1], *(one.begin for one in held), *(one.end for one in held)})
    for begin, end in pairwise(moments):
        if not any(one.begin < end and one.end > begin for one in held):
            held.append(_Held(begin, end, None))
    return held


def _shared(held: Sequence[_Held], asked: Mapping[Pod, float], part: float | None, *, whole: bool) -> Iterator[_Held]:
    """The same, cut wherever a holder comes or goes, each with its part of the GPU; together never more than one.

    A part is what the pod asked for, else what the node cuts its GPUs into, else an equal one. `whole`: a MIG instance
    has no parts; when several share it, nobody is named.
    """
    moments = sorted({moment for one in held for moment in (one.begin, one.end)})
    running: dict[tuple[Pod | None, float | None], _Held] = {}
    for begin, end in pairwise(moments):
        here = [one.pod for one in held if one.begin < end and one.end > begin and one.pod]
        if whole and len(here) > 1:
            here = []
        parts = {pod: asked.get(pod, part or (1 / len(here) if len(here) > 1 else 1.0)) for pod in here}
        total = sum(parts.values())
        now: list[tuple[Pod | None, float | None]] = [(None, None)]
        if here:
            now = [
                (pod, None if whole or size / max(total, 1.0) == 1.0 else size / max(total, 1.0))
                for pod, size in parts.items()
            ]
        for key in [key for key in running if key not in now]:
            yield running.pop(key)
        for key in now:
            running[key] = _Held(running[key].begin if key in running else begin, end, *key)
    yield from running.values()


def _row(
    source: Source,
    told: Mapping[str, Any],
    node: Node | None,
    held: _Held,
    labels: Mapping[Pod, Labels],
    window: Window,
    gpu: str,
) -> dict[str, Any] | None:
    """A row of the inventory within the window; None where the stretch is outside."""
    begin, end = max(held.begin, _ms(window.begin)), min(held.end, _ms(window.end))
    if end <= begin:
        return None
    is_last = held.end >= told["t"] and _ms(window.now) - held.end <= _FRESH_MS and window.end == window.now
    own = labels.get(held.pod, {}) if held.pod else {}
    if node is None:
        reason = f"kube_node_info knows no node '{told['node_id']}': nobody can tell the billed resource"
        return {RAW: told["raw"], PROBLEM: reason}
    replica = kube_state.first(own, kube_state.named(source, "replica_id")) or (held.pod[1] if held.pod else None)
    return {
        "gpu_uuid": gpu,
        "parent_gpu_uuid": told["board"] if told["gpu_instance_id"] else None,
        "node_id": told["node_id"],
        "ResourceId": node.resource,
        "replica_id": replica,
        "gpu_model": told["gpu_model"],
        "mig_profile": told["mig_profile"],
        "share": held.share,
        "team_id": kube_state.first(own, kube_state.named(source, "team_id", "label_team")),
        "model": kube_state.first(own, kube_state.named(source, "model", "label_model")),
        "provider": node.provider,
        "region": node.region,
        "instance_type": node.instance_type,
        "valid_from": datetime.fromtimestamp(begin / 1000, UTC),
        "valid_to": None if is_last else datetime.fromtimestamp(end / 1000, UTC),
    }


def _ms(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


COLLECTOR = Inventory(gpu_inventory.KIND)
