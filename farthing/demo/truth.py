"""What telemetry says of the simulated GPUs, and what is true of them: the planted facts that tests read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from farthing.demo import world
from farthing.demo.bill import PAST_GATEWAY_TOKENS
from farthing.demo.engine import Replica, busy_microseconds
from farthing.demo.traffic import Request

BUCKET_SECONDS = 10
BUCKETS = world.WEEK_SECONDS // BUCKET_SECONDS
_PLANTED_BUSY = 9_000_000  # microseconds of each bucket in which the planted work keeps its GPU busy


@dataclass(frozen=True)
class Telemetry:
    """One GPU's week: busy microseconds of every bucket, and the buckets that were never observed."""

    gpu: world.Gpu
    busy: list[int]
    unobserved: range = range(0)


def _buckets(window: world.Window | world.Job) -> range:
    return range(int(world.seconds(window.begin)) // BUCKET_SECONDS, int(world.seconds(window.end)) // BUCKET_SECONDS)


def drained(cell: int, replica: int) -> list[tuple[float, float]]:
    """When the router sends a replica nothing, in seconds: around what is planted on one of its GPUs."""
    return [
        (world.seconds(window.begin - world.DRAIN), world.seconds(window.end))
        for window in (world.BATCH_JOB, world.UNEXPLAINED)
        if cell == 0 and window.replica == replica
    ]


def telemetry(cell: int, replicas: Sequence[Replica]) -> list[Telemetry]:
    """The serving GPUs of a cell: each is busy when its replica is, besides what is planted."""
    of_replica = [
        busy_microseconds(replica.busy, bucket_seconds=BUCKET_SECONDS, buckets=BUCKETS) for replica in replicas
    ]
    found = []
    for number, gpu in enumerate(world.serving_gpus(cell)):
        busy = of_replica[number // world.GPUS_PER_REPLICA]
        for window in (world.BATCH_JOB, world.UNEXPLAINED):
            if window.gpu_uuid == gpu.gpu_uuid:
                busy = list(busy)
                for bucket in _buckets(window):
                    busy[bucket] += _PLANTED_BUSY
        hidden = _buckets(world.UNOBSERVED) if gpu.node_id == world.UNOBSERVED.node_id else range(0)
        found.append(Telemetry(gpu, busy, hidden))
    return found


def training_telemetry(random: Random) -> list[Telemetry]:
    """The training GPUs: nearly always busy while a job runs on them, idle otherwise."""
    found = []
    for index, gpu in enumerate(world.training_gpus()):
        busy = [0] * BUCKETS
        for job in world.jobs():
            if gpu.gpu_uuid in job.gpu_uuids or (job.node_id == gpu.node_id and index < (job.gpu_count or 0)):
                for bucket in _buckets(job):
                    busy[bucket] = random.randint(90, 99) * 100_000
        found.append(Telemetry(gpu, busy))
    return found


@dataclass
class Record:
    """Gathers the truth, cell after cell."""

    requests: int = 0
    by_user: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_replica: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    hidden: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    users: set[str] = field(default_factory=set)

    def add(self, cell: int, requests: Iterable[Request], observed: Iterable[Telemetry]) -> None:
        """Add one cell's requests, and the busy time of its GPUs that telemetry never showed."""
        names = world.replica_names(cell)
        for request in requests:
            self.requests += 1
            self.users.add(request.person.user_id)
            if request.work:
                gpu_seconds = request.work.replica_seconds * world.GPUS_PER_REPLICA
                self.by_user[request.person.user_id] += gpu_seconds
                self.by_replica[names[request.work.replica]] += gpu_seconds
        for trace in observed:
            if trace.unobserved:
                lost = sum(trace.busy[bucket] for bucket in trace.unobserved)
                self.hidden[str(trace.gpu.replica_id)] += lost / 1_000_000

    def facts(self) -> dict[str, object]:
        """The truth as JSON values; per replica: telemetry's busy = requests - hidden + planted."""
        return {
            "requests": self.requests,
            "users": len(self.users),
            "gpu_seconds_by_user": _rounded(self.by_user),
            "gpu_seconds_by_replica": _rounded(self.by_replica),
            "hidden_gpu_seconds_by_replica": _rounded(self.hidden),
            "planted": {
                "unobserved": _window(world.UNOBSERVED),
                "batch_job": {**_window(world.BATCH_JOB), "job_id": "job-102"},
                "unexplained": _window(world.UNEXPLAINED),
                "key_handed_over": {
                    "key": "key-0001",
                    "at": world.KEY_HANDED_OVER.isoformat(),
                    "from": "user-0001",
                    "to": "user-0001-successor",
                },
                "unknown_key": world.LOST_KEY,
                "past_gateway": {
                    "day": world.PAST_GATEWAY_DAY.isoformat(),
                    "provider": "openai",
                    "tokens": PAST_GATEWAY_TOKENS,
                },
            },
        }


def _window(window: world.Window) -> dict[str, object]:
    facts: dict[str, object] = {
        "begin": window.begin.isoformat(),
        "end": window.end.isoformat(),
        "node_id": window.node_id,
    }
    if window.gpu_uuid is not None and window.replica is not None:
        facts |= {
            "gpu_uuid": window.gpu_uuid,
            "replica_id": world.replica_names(0)[window.replica],
            "busy_gpu_seconds": len(_buckets(window)) * _PLANTED_BUSY / 1_000_000,
        }
    return facts


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 6) for key, value in sorted(values.items())}
