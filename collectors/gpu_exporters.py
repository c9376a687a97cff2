"""What exporters of GPU telemetry call things: metrics with their scale, labels that name a GPU and its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from farthing.config import Column, Source
from farthing.errors import ConfigError


@dataclass(frozen=True)
class Metric:
    """A metric, what one of its units is in ours, and how we call where it comes from."""

    name: str
    scale: float = 1.0
    origin: str = ""
    of_instances: bool = True  # whether it means anything for a MIG instance


@dataclass(frozen=True)
class Exporter:
    """The names of one exporter. A label may have several names; the first that a series has is taken."""

    busy: tuple[Metric, ...]  # in the order in which they are believed
    memory: Metric | None = None
    energy: Metric | None = None
    sm_active: Metric | None = None
    gpu: tuple[str, ...] = ("UUID", "uuid")  # names joined by a blank: together they tell a GPU
    instance: tuple[str, ...] = ()
    node: tuple[str, ...] = ("Hostname", "hostname", "node")
    pod: tuple[str, ...] = ("pod",)
    namespace: tuple[str, ...] = ("namespace",)
    container: tuple[str, ...] = ("container",)
    gpu_model: tuple[str, ...] = ()
    mig_profile: tuple[str, ...] = ()

    @property
    def metrics(self) -> list[str]:
        """Every metric that tells how busy a GPU is."""
        return [metric.name for metric in self.busy]


_MIB = 1048576.0
#: NVIDIA is tested against pages as dcgm-exporter serves them; the others by their documentation, on no hardware.
EXPORTERS: dict[str, Exporter] = {
    "dcgm": Exporter(
        busy=(
            Metric("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1.0, "dcgm_gr"),
            Metric("DCGM_FI_DEV_GPU_UTIL", 0.01, "dcgm_util", of_instances=False),
        ),
        memory=Metric("DCGM_FI_DEV_FB_USED", _MIB),
        energy=Metric("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 1e-3),
        sm_active=Metric("DCGM_FI_PROF_SM_ACTIVE"),
        instance=("GPU_I_ID",),
        gpu_model=("modelName",),
        mig_profile=("GPU_I_PROFILE",),
    ),
    "rocm": Exporter(
        busy=(Metric("gpu_gfx_activity", 0.01, "amd"),),
        memory=Metric("gpu_used_vram", _MIB),
        energy=Metric("gpu_energy_consumed", 1e-6),
        gpu=("gpu_uuid", "serial_number"),
        gpu_model=("card_model", "card_series"),
    ),
    "neuron": Exporter(
        busy=(Metric("neuroncore_utilization_ratio", 1.0, "neuron"),),
        gpu=("instance_id neuroncore",),
        node=("node", "instance_id"),
        gpu_model=("instance_type",),
    ),
    "tpu": Exporter(
        busy=(Metric("duty_cycle", 0.01, "tpu"),),
        memory=Metric("memory_used", 1.0),
        gpu=("accelerator_id",),
        node=("node",),
        gpu_model=("model",),
    ),
}

#: Our columns that are metrics -> the field of an exporter; and those that are labels.
_METRICS = {
    "busy_fraction": "busy",
    "memory_used_bytes": "memory",
    "energy_joules": "energy",
    "sm_active_fraction": "sm_active",
}
_LABELS = {
    "gpu_uuid": "gpu",
    "gpu_instance_id": "instance",
    "node_id": "node",
    "owner_pod": "pod",
    "owner_namespace": "namespace",
    "owner_container": "container",
    "gpu_model": "gpu_model",
    "mig_profile": "mig_profile",
}
_SCALES = {
    None: 1.0,
    "fraction": 1.0,
    "percent": 0.01,
    "bytes": 1.0,
    "kib": 1024.0,
    "mib": _MIB,
    "gib": 1024 * _MIB,
    "joules": 1.0,
    "mj": 1e-3,
    "kwh": 3.6e6,
}


def exporter_of(name: str, source: Source, others: Mapping[str, str] | None = None) -> Exporter:
    """The exporter of a source: a known one, with the names that `columns` say otherwise.

    `others` are columns that the kind itself reads.

    Raises:
        ConfigError: a column is none that an exporter gives, or its unit is none of a metric.
    """
    found, given_names = EXPORTERS[source.exporter or "dcgm"], dict[str, Any]()
    for ours, given in source.columns.items():
        key = f"sources.{name}.columns.{ours}"
        names, unit = (given.paths, given.unit) if isinstance(given, Column) else ([given], None)
        if ours in _METRICS:
            if unit not in _SCALES:
                raise ConfigError(f"a metric cannot be in '{unit}'.", key=key, fix="docs/sources/prometheus.md.")
            if len(names) > 1:
                raise ConfigError(f"'{ours}' is of one metric, not the first of several.", key=key, fix="keep one.")
            [theirs] = names
            known = [one for one in _known_metrics() if one.name == theirs]
            metric = Metric(theirs, _SCALES[unit] if unit or not known else known[0].scale, "file")
            if known:
                metric = replace(known[0], scale=metric.scale)
            given_names[_METRICS[ours]] = (metric,) if ours == "busy_fraction" else metric
        elif ours in _LABELS:
            given_names[_LABELS[ours]] = (*names, *getattr(found, _LABELS[ours]))
        elif ours not in (others or {}):
            takes = ", ".join([*_METRICS, *_LABELS, *(others or {})])
            raise ConfigError(f"'{ours}' is no column of kind {source.kind}; columns: {takes}.", key=key)
    return replace(found, **given_names)


def _known_metrics() -> list[Metric]:
    found: list[Metric] = []
    for one in EXPORTERS.values():
        found += [*one.busy, *(metric for metric in (one.memory, one.energy, one.sm_active) if metric)]
    return found
