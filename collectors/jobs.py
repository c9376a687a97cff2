"""Training and batch work, from Slurm, Kubernetes or a CSV file: who had which GPUs, and when."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.checks import before, negative
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from farthing.lake.schemas import JOBS


def _checks(_row: Row) -> Sequence[Check]:
    return [before("ended_at", "started_at"), *negative(["gpu_count"])]


KIND = Kind(Dialect(JOBS), needed=lambda _: JOBS.required, checks=_checks)

COLLECTOR = Files(KIND)
