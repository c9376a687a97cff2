"""What kube-state-metrics tells of nodes and pods: the billed resource of a node, the labels of a pod, its GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from collectors.promql import Labels, Server, own
from farthing.config import Column, Source

Pod = tuple[str, str]  # namespace, name

#: Resources that are GPUs, as kube-state-metrics writes them, and not a measure of a part of one.
_GPU = re.compile(r"(nvidia_com_(gpu(_shared)?|mig_\w+)|amd_com_gpu|aws_amazon_com_neuron\w*|google_com_tpu)")
#: HAMi's share of a GPU's cores, in percent.
_CORES = "nvidia_com_gpucores"
GPU_RESOURCES = 'resource=~"nvidia_com_.*|amd_com_gpu|aws_amazon_com_neuron.*|google_com_tpu"'
_INSTANCE_TYPE = ("label_node_kubernetes_io_instance_type", "label_beta_kubernetes_io_instance_type")
_REGION = ("label_topology_kubernetes_io_region", "label_failure_domain_beta_kubernetes_io_region")


@dataclass(frozen=True)
class Node:
    """A node as its bill knows it."""

    resource: str
    provider: str | None = None
    region: str | None = None
    instance_type: str | None = None
    replicas: float | None = None  # how many GPUs it offers; more than it has where they are time-sliced


def nodes(server: Server, source: Source, begin: datetime, end: datetime) -> dict[str, Node]:
    """The nodes that were seen, by name."""
    labels = _by(server.last(server.selector("kube_node_labels"), begin, end), "node")
    offered: dict[str, float] = {}
    for told, value in server.last(server.selector("kube_node_status_allocatable", GPU_RESOURCES), begin, end):
        node, resource = own(told, "node"), own(told, "resource") or ""
        if node and _GPU.fullmatch(resource) and "mig_" not in resource:
            offered[node] = offered.get(node, 0.0) + value
    found = {}
    for told, _ in server.last(server.selector("kube_node_info"), begin, end):
        name = own(told, "node")
        if name:
            more = labels.get(name, {})
            resource, provider, region = billed(own(told, "provider_id") or name)
            found[name] = Node(
                first(more, named(source, "ResourceId")) or resource,
                provider,
                first(more, [*named(source, "region"), *_REGION]) or region,
                first(more, [*named(source, "instance_type"), *_INSTANCE_TYPE]),
                offered.get(name),
            )
    return found


def billed(provider_id: str) -> tuple[str, str | None, str | None]:
    """(ResourceId on the bill, provider, region) of a node's provider id; what is none stays as it is.

    A machine of an Azure scale set is billed as the set.
    """
    if match := re.fullmatch(r"aws:///([a-z0-9-]+?)[a-z]?/(i-\w+)", provider_id):
        return match[2], "AWS", match[1]
    if match := re.fullmatch(r"gce://[^/]+/([a-z0-9-]+)-[a-z]/([^/]+)", provider_id):
        return match[2], "Google Cloud", match[1]
    if match := re.fullmatch(r"azure://(/subscriptions/.+)", provider_id, re.IGNORECASE):
        return re.sub(r"(?i)(/virtualMachineScaleSets/[^/]+)/virtualMachines/.*", r"\1", match[1]), "Microsoft", None
    return provider_id.rpartition("/")[2] or provider_id, None, None


def pod_labels(server: Server, begin: datetime, end: datetime) -> dict[Pod, Labels]:
    """The labels of each pod; those that kube-state-metrics is allowed to show."""
    found: dict[Pod, Labels] = {}
    for labels, _ in server.last(server.selector("kube_pod_labels"), begin, end):
        if pod := pod_of(labels):
            found[pod] = labels
    return found


def shares(requests: Iterable[tuple[Labels, float]]) -> dict[Pod, float]:
    """Which part of a GPU a pod asked for, where it asked for a part: HAMi's cores in percent."""
    found: dict[Pod, float] = {}
    for labels, value in requests:
        pod = pod_of(labels)
        if pod and own(labels, "resource") == _CORES and 0 < value <= 100:
            found[pod] = value / 100
    return found


def gpu_counts(requests: Iterable[tuple[Labels, float]]) -> dict[Pod, int]:
    """How many GPUs each pod asked for, over its containers."""
    found: dict[Pod, float] = {}
    for labels, value in requests:
        pod = pod_of(labels)
        if pod and _GPU.fullmatch(own(labels, "resource") or ""):
            found[pod] = found.get(pod, 0.0) + value
    return {pod: round(value) for pod, value in found.items()}


def pod_of(labels: Labels) -> Pod | None:
    """Namespace and name of the pod that a series of kube-state-metrics speaks of, never the scraped one's."""
    pod = own(labels, "pod")
    return (own(labels, "namespace") or "", pod) if pod else None


def named(source: Source, ours: str, *usual: str) -> list[str]:
    """The labels that may give our column: the one that the source names, and the usual ones."""
    given = source.columns.get(ours)
    own_names = given.paths if isinstance(given, Column) else [given] if given else []
    return [*own_names, *usual]


def first(labels: Mapping[str, str], names: Sequence[str]) -> str | None:
    """The first of these labels that there is."""
    return next((labels[name] for name in names if labels.get(name)), None)


def _by(series: Iterable[tuple[Labels, float]], label: str) -> dict[str, Labels]:
    return {name: labels for labels, _ in series if (name := own(labels, label))}
