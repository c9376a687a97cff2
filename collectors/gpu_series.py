"""Raw samples of a GPU exporter, one line per GPU and moment: whose it was, how busy, and what could not be read.

What shares a GPU is one GPU: series that repeat its value for each pod are brought together by their maximum. Pods come
from the exporter's own labels, and the exporter's own pod is nobody's workload.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from collectors.gpu_exporters import Exporter, Metric
from collectors.promql import Labels, Series, Server, own

#: Beyond this a value is a blank of the driver, not a measurement: in millijoules a megawatt for eleven days.
ABSURD = 1e15
_ABSURD_JOULES = 1e12

#: Of one GPU or MIG instance at one moment (t, milliseconds since 1970).
_POINT = {"series": pl.Int64, "t": pl.Int64, "value": pl.Float64}
_TOLD = {
    "series": pl.Int64,
    "gpu_uuid": pl.String,
    "board": pl.String,
    "gpu_instance_id": pl.String,
    "node_id": pl.String,
    "owner_pod": pl.String,
    "owner_namespace": pl.String,
    "owner_container": pl.String,
    "gpu_model": pl.String,
    "mig_profile": pl.String,
    "origin": pl.String,
    "rank": pl.Int64,
    "raw": pl.String,
}


@dataclass(frozen=True)
class Samples:
    """What a window holds of one metric, or of several that mean the same: points, and of which series they are."""

    points: pl.DataFrame  # series, t, value in our units
    told: pl.DataFrame  # series -> what its labels tell
    refused: pl.DataFrame  # series, t, value, reason, raw

    @property
    def joined(self) -> pl.DataFrame:
        """The points with what is known of their series."""
        return self.points.join(self.told, on="series", how="inner")


#: Labels that a target of Kubernetes may have itself.
_OWN = ("pod", "namespace", "container")


@dataclass(frozen=True)
class Targets:
    """The pods, namespaces and containers that scraped targets have themselves: those of exporters."""

    known: Mapping[tuple[str, str], frozenset[tuple[str, str]]]  # (job, instance) -> (label, value)

    @classmethod
    def of(cls, server: Server, series: Iterable[Labels], begin: datetime, end: datetime) -> Targets:
        """What `up` says of the targets that `series` come from."""
        seen = list(series)
        jobs = sorted({labels["job"] for labels in seen if "job" in labels})
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        if jobs:
            job = "|".join(_escaped(one) for one in jobs)
            for labels, _ in server.last(server.selector("up", f'job=~"{job}"'), begin, end):
                found.setdefault(_target(labels), set()).update((one, labels[one]) for one in _OWN if one in labels)
        return cls({target: frozenset(own) for target, own in found.items()})

    def owner(self, labels: Labels, exporter: Exporter) -> tuple[str | None, str | None, str | None]:
        """Pod, namespace and container of the workload; all null when there is none, or it cannot be told."""
        target = _target(labels)
        pod = _first(labels, [f"exported_{name}" for name in exporter.pod])
        if pod is None:
            pod = _first(labels, exporter.pod)
            pushed = not any(target)
            # Without `up` nobody says whether the label is the workload's or the exporter's own.
            told = target in self.known or pushed
            if pod is None or not told or ("pod", pod) in self.known.get(target, ()):
                return None, None, None
            # A label that the exporter does not give is filled with the target's, also under honor_labels.
            return pod, _first(labels, exporter.namespace), self._foreign(labels, exporter.container, "container")
        return (
            pod,
            _first(labels, [f"exported_{name}" for name in exporter.namespace])
            or self._foreign(labels, exporter.namespace, "namespace"),
            _first(labels, [f"exported_{name}" for name in exporter.container])
            or self._foreign(labels, exporter.container, "container"),
        )

    def _foreign(self, labels: Labels, names: Sequence[str], label: str) -> str | None:
        """A label that is not the target's own."""
        value = _first(labels, names)
        return None if (label, value) in self.known.get(_target(labels), ()) else value


def read(
    server: Server, metrics: Sequence[Metric], begin: datetime, end: datetime
) -> tuple[list[tuple[int, Metric, Series]], Targets]:
    """The raw series of `metrics`, with the place of each metric among them, and their targets."""
    found = [
        (rank, metric, series)
        for rank, metric in enumerate(metrics)
        for series in server.raw(server.selector(metric.name), begin, end)
    ]
    return found, Targets.of(server, (labels for _, _, (labels, _) in found), begin, end)


def samples(
    found: Sequence[tuple[int, Metric, Series]], targets: Targets, exporter: Exporter, *, most: float = ABSURD
) -> Samples:
    """Points in our units; a value above `most`, below zero or none at all is refused, and so is one of no GPU."""
    points: dict[str, list[Any]] = {name: [] for name in _POINT}
    told: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for number, (rank, metric, (labels, values)) in enumerate(found):
        gpu = _gpu(labels, exporter)
        instance = _first(labels, exporter.instance)
        if instance is not None and not metric.of_instances:
            continue
        raw = json.dumps(dict(labels), ensure_ascii=False, sort_keys=True)
        pod, namespace, container = targets.owner(labels, exporter)
        told.append({
            "series": number,
            "gpu_uuid": f"{gpu}/{instance}" if instance else gpu,
            "board": gpu,
            "gpu_instance_id": instance,
            "node_id": _first(labels, exporter.node),
            "owner_pod": pod,
            "owner_namespace": namespace,
            "owner_container": container,
            "gpu_model": _first(labels, exporter.gpu_model),
            "mig_profile": _first(labels, exporter.mig_profile),
            "origin": metric.origin,
            "rank": rank,
            "raw": raw,
        })  # fmt: skip
        for t, value in values:
            ours = value * metric.scale
            reason = _fault(metric, value, ours, most) if gpu else f"{metric.name}: no label tells the GPU"
            if reason:
                refused.append({"series": number, "t": t, "reason": reason, "raw": f"{raw} {value} @{t}"})
            else:
                points["series"].append(number)
                points["t"].append(t)
                points["value"].append(ours)
    return Samples(
        pl.DataFrame(points, schema=_POINT),
        pl.DataFrame(told, schema=_TOLD),
        pl.DataFrame(refused, schema={"series": pl.Int64, "t": pl.Int64, "reason": pl.String, "raw": pl.String}),
    )


def boards_only(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the rows of a whole GPU that is cut into MIG instances: those have rows of their own."""
    cut = frame.filter(pl.col("gpu_instance_id").is_not_null()).select("board").unique()
    whole = frame.filter(pl.col("gpu_instance_id").is_null()).join(cut, on="board", how="anti")
    return pl.concat([frame.filter(pl.col("gpu_instance_id").is_not_null()), whole])


def stale(energy: pl.DataFrame, longest: timedelta) -> pl.DataFrame:
    """(board, from_t, to_t]: when a GPU's energy counter stood still for longer than `longest`, so nothing is known.

    `energy` has board, t and value; a counter that never counted is none.
    """
    runs = (
        energy.filter(pl.col("value") > 0)
        .sort("board", "t")
        .with_columns((pl.col("value") != pl.col("value").shift().over("board")).fill_null(value=True).alias("new"))
        .with_columns(pl.col("new").cum_sum().over("board").alias("run"))
        .group_by("board", "run")
        .agg(pl.col("t").min().alias("from_t"), pl.col("t").max().alias("to_t"))
    )
    return runs.filter(pl.col("to_t") - pl.col("from_t") > longest // timedelta(milliseconds=1)).drop("run")


def joules_grown(energy: pl.DataFrame) -> pl.DataFrame:
    """board, t and the energy counted up to t since the first sample: the sum of what the counter grew by.

    A counter that falls was reset; what it lost is not known, and is no negative.
    """
    grown = (pl.col("value") - pl.col("value").shift().over("board")).fill_null(0.0)
    return (
        energy.sort("board", "t")
        .with_columns(pl.when(grown > 0).then(grown).otherwise(0.0).alias("grown"))
        .select("board", "t", pl.col("grown").cum_sum().over("board").alias("counted"))
    )


def absurd_joules(metric: Metric) -> float:
    """Above which energy is a blank: in our joules, whatever the exporter counts in."""
    return max(_ABSURD_JOULES, ABSURD * metric.scale)


def _fault(metric: Metric, value: float, ours: float, most: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return f"{metric.name}: {value} is no number"
    if value < 0:
        return f"{metric.name} is negative: {value:g}"
    if ours > most:
        return f"{metric.name}: {value:g} cannot be (more than {most:g} after its scale of {metric.scale:g})"
    return ""


def _gpu(labels: Labels, exporter: Exporter) -> str | None:
    for names in exporter.gpu:
        parts = [own(labels, name) for name in names.split()]
        if all(parts):
            return "/".join(part for part in parts if part)
    return None


def _first(labels: Labels, names: Iterable[str]) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)


def _target(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def _escaped(text: str) -> str:
    """`text` for a matcher of regular expressions inside a quoted string."""
    special = "\\.+*?()|[]{}^$"
    return "".join("\\\\" + one if one in special else '\\"' if one == '"' else one for one in text)
