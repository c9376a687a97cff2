"""A cluster as its Prometheus knows it: pods on GPUs become an inventory with history, batch pods become jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from collectors.kube_state import billed
from farthing.lake.schemas import GPU_INVENTORY, JOBS
from tests.collectors.test_prometheus import BEGIN, EXPORTER, GR, NODE, UTIL, collect, every, served, up

Series = tuple[str, Mapping[str, str], Mapping[float, float]]
KSM = {"job": "ksm", "instance": "10.0.0.9:8080", "namespace": "monitoring", "pod": "ksm-0"}
HOUR = 3600.0


def state(metric: str, begin: float = 0, end: float = HOUR, value: float = 1, **labels: str) -> Series:
    """A series of kube-state-metrics; what it says of pods and namespaces Prometheus calls exported_."""
    own = {f"exported_{name}" if name in KSM else name: text for name, text in labels.items()}
    return metric, {**KSM, **own}, every(60, value, begin, end)


def node(
    name: str = "n1", provider_id: str = "aws:///eu-west-1a/i-0a1", gpus: int = 1, begin: float = 0, end: float = HOUR
) -> list[Series]:
    labels: dict[str, Any] = {"node": name, "label_node_kubernetes_io_instance_type": "p5.48xlarge"}
    offered: dict[str, Any] = {"node": name, "resource": "nvidia_com_gpu", "unit": "integer"}
    return [
        state("kube_node_info", begin, end, node=name, provider_id=provider_id),
        state("kube_node_labels", begin, end, **labels),
        state("kube_node_status_allocatable", begin, end, gpus, **offered),
    ]


def pod(
    name: str, begin: float = 0, end: float = HOUR, gpus: int = 1, owner: str = "ReplicaSet", **labels: Any
) -> list[Series]:
    own: dict[str, Any] = {"namespace": "ml", "pod": name}
    told = [
        state("kube_pod_labels", begin, end, **own, **labels),
        state("kube_pod_owner", begin, end, **own, owner_kind=owner, owner_name="train"),
        state("kube_pod_start_time", begin, end, BEGIN.timestamp() + begin, **own),
    ]
    request: dict[str, Any] = {**own, "node": "n1", "container": "main"}
    return [
        *told,
        state("kube_pod_container_resource_requests", begin, end, gpus, resource="nvidia_com_gpu", **request),
    ]


def on(gpu: str, holder: str | None, begin: float = 0, end: float = HOUR, **more: str) -> Series:
    held = {"exported_pod": holder, "exported_namespace": "ml"} if holder else {}
    return GR, {**NODE, **EXPORTER, "UUID": gpu, **held, **more}, every(30, 0.5, begin, end)


def inventory(world: Any, *told: Series, now: timedelta = timedelta(hours=40), **source: Any) -> list[tuple[Any, ...]]:
    """gpu, replica, share and the stretch in minutes since the begin of the day."""
    with served(world.folder, [up(NODE, EXPORTER), *told]) as endpoint:
        collect(world, endpoint, kind="kubernetes_gpus", now=now, **source)
    return held(world)


def held(world: Any) -> list[tuple[Any, ...]]:
    minute: Callable[[Any], Any] = lambda time: time and (time - BEGIN.replace(tzinfo=None)) / timedelta(minutes=1)  # noqa: E731
    return [
        (row["gpu_uuid"], row["replica_id"], row["share"], minute(row["valid_from"]), minute(row["valid_to"]))
        for row in world.rows(GPU_INVENTORY, "gpu_uuid, valid_from, replica_id")
    ]


@pytest.mark.slow
def test_a_gpu_is_held_by_one_pod_after_the_other_and_in_between_by_nobody(world: Any) -> None:
    found = inventory(
        world,
        *node(),
        *pod("a", label_team="red", label_model="llama"),
        *(on("G", "a", 0, 1200), on("G", None, 1200, 1800), on("G", "b", 1800, 3600)),
    )
    assert found == [("G", "a", None, 0, 20), ("G", None, None, 20, 30), ("G", "b", None, 30, 60)]
    names = ("ResourceId", "node_id", "gpu_model", "team_id", "model", "provider", "region", "instance_type")
    assert [world.rows(GPU_INVENTORY, "valid_from")[0][name] for name in names] == [
        "i-0a1", "n1", "NVIDIA H100", "red", "llama", "AWS", "eu-west-1", "p5.48xlarge"
    ]  # fmt: skip


@pytest.mark.heavy
def test_a_label_that_is_missing_for_a_scrape_takes_no_gpu_away(world: Any) -> None:
    """dcgm-exporter issues 150, 342, 411: labels are gone at random."""
    found = inventory(world, *node(), *(on("G", "a", 0, 1200), on("G", None, 1200, 1260), on("G", "a", 1260, 3600)))
    assert found == [("G", "a", None, 0, 60)]


@pytest.mark.slow
def test_pods_of_a_time_sliced_gpu_have_the_part_that_the_node_offers(world: Any) -> None:
    """Four of a GPU: three pods have a quarter each, the last quarter is nobody's."""
    pods = [on("G", f"p{number}", vgpu=str(number)) for number in range(3)]
    found = inventory(world, *node(gpus=4), *pods)
    assert found == [("G", f"p{number}", 0.25, 0, 60) for number in range(3)]


@pytest.mark.heavy
def test_pods_that_say_no_part_share_equally_and_one_that_does_has_that(world: Any) -> None:
    """Project-HAMi/HAMi issue 3073: gpucores is what a pod may have of a GPU, in percent."""
    asked: dict[str, Any] = {"namespace": "ml", "pod": "c", "node": "n1", "container": "main"}
    cores = state("kube_pod_container_resource_requests", value=25, resource="nvidia_com_gpucores", **asked)
    found = inventory(
        world, *node(gpus=2), cores, *(on("G", "a", 0, 1800), on("G", "b"), on("H", "c")),
        state("kube_node_info", node="n2", provider_id="gce://acme/europe-west4-b/gke-n2"),
    )  # fmt: skip
    assert found == [
        ("G", "a", 0.5, 0, 30), ("G", "b", 0.5, 0, 30), ("G", "b", None, 30, 60), ("H", "c", 0.25, 0, 60)
    ]  # fmt: skip


@pytest.mark.heavy
def test_a_mig_instance_is_held_whole(world: Any) -> None:
    cut: dict[str, Any] = {"GPU_I_ID": "3", "GPU_I_PROFILE": "1g.10gb"}
    found = inventory(world, *node(), on("G", "a", **cut), (UTIL, {**NODE, "UUID": "G"}, every(30, 0)))
    assert found == [("G/3", "a", None, 0, 60)]
    (row,) = world.rows(GPU_INVENTORY)
    assert (row["parent_gpu_uuid"], row["mig_profile"]) == ("G", "1g.10gb")


@pytest.mark.heavy
def test_what_still_runs_has_no_end_and_goes_on_the_day_after_without_a_gap(world: Any) -> None:
    day = 86400.0
    told = [up(NODE, EXPORTER, 1.5 * day), *node(end=1.5 * day), on("G", "a", 0.5 * day, 1.5 * day)]
    with served(world.folder, told) as endpoint:
        collect(world, endpoint, kind="kubernetes_gpus", now=timedelta(days=0.75))
        assert held(world) == [("G", "a", None, 720, None)]
        collect(world, endpoint, kind="kubernetes_gpus", now=timedelta(days=1.25))
        collect(world, endpoint, kind="kubernetes_gpus", now=timedelta(days=2.5))
    assert held(world) == [("G", "a", None, 720, 1440), ("G", "a", None, 1440, 2160)]


@pytest.mark.heavy
def test_a_gpu_of_a_node_that_nobody_knows_is_rejected(world: Any) -> None:
    with served(world.folder, [up(NODE, EXPORTER), on("G", "a"), state("kube_node_info", node="n2")]) as endpoint:
        results = collect(world, endpoint, kind="kubernetes_gpus")
    assert sum(result.rejected for result in results) == 1
    assert "kube_node_info knows no node 'n1'" in world.rejects()[0][1]


@pytest.mark.parametrize(
    ("provider_id", "resource"),
    [
        ("aws:///eu-west-1a/i-0a1", ("i-0a1", "AWS", "eu-west-1")),
        ("gce://acme/europe-west4-b/gke-n2", ("gke-n2", "Google Cloud", "europe-west4")),
        (
            "azure:///subscriptions/7/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/gpu/virtualMachines/3",
            (
                "/subscriptions/7/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/gpu",
                "Microsoft",
                None,
            ),
        ),
        ("n1", ("n1", None, None)),
    ],
)
def test_a_nodes_provider_id_is_the_resource_of_its_bill(provider_id: str, resource: tuple[str, ...]) -> None:
    assert billed(provider_id) == resource


def batch(world: Any, endpoint: str, now: timedelta = timedelta(hours=12), **source: Any) -> list[tuple[Any, ...]]:
    collect(world, endpoint, kind="kubernetes", now=now, **source)
    minute: Callable[[Any], Any] = lambda time: time and (time - BEGIN.replace(tzinfo=None)) / timedelta(minutes=1)  # noqa: E731
    return [
        (row["job_id"], row["run_id"], row["gpu_uuids"], row["gpu_count"], minute(row["started_at"]),
         minute(row["ended_at"]), row["status"])
        for row in world.rows(JOBS, "job_id")
    ]  # fmt: skip


@pytest.mark.heavy
def test_a_pod_of_a_job_is_a_job_with_the_gpus_that_the_exporter_saw_it_on(world: Any) -> None:
    done: dict[str, Any] = {"namespace": "ml", "pod": "train-1"}
    told = [
        up(NODE, EXPORTER),
        *pod("train-1", 0, 3600, gpus=2, owner="Job", label_team="red", label_user="ann"),
        state("kube_pod_completion_time", 1800, 3600, BEGIN.timestamp() + 1800, **done),
        state("kube_pod_status_phase", 1800, 3600, phase="Succeeded", **done),
        state("kube_pod_status_phase", 1800, 3600, 0, phase="Running", **done),
        *pod("train-2", 600, 1200, owner="PyTorchJob"),
        *pod("serve-1"),  # of a ReplicaSet: it does not end
        *(on("G", "train-1", 0, 1800), on("H", "train-1", 0, 1800)),
    ]  # fmt: skip
    with served(world.folder, told) as endpoint:
        running = batch(world, endpoint, now=timedelta(minutes=25))
        assert running[0][4:] == (0, None, None)
        assert batch(world, endpoint) == [
            ("ml/train-1", "ml/train", "G H", 2, 0, 30, "succeeded"),
            ("ml/train-2", "ml/train", None, 1, 10, 20, "deleted"),
        ]
        assert {result.status for result in collect(world, endpoint, kind="kubernetes")} == {"unchanged"}
    assert [(row["team_id"], row["user_id"], row["node_id"]) for row in world.rows(JOBS, "job_id")] == [
        ("red", "ann", "n1"), (None, None, "n1")
    ]  # fmt: skip


@pytest.mark.heavy
def test_pods_that_the_server_has_forgotten_stay_in_the_lake(world: Any) -> None:
    first, second = pod("train-1", 0, 3600, owner="Job"), pod("train-2", 7200, 14400, owner="Job")
    with served(world.folder / "all", [*first, *second]) as endpoint:
        assert len(batch(world, endpoint)) == 2
    with served(world.folder / "rest", second) as endpoint:
        assert len(batch(world, endpoint)) == 2
