"""What is true of the simulated company: every planted thing with its dates, keys and amounts, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from farthing.demo import bill, world
from farthing.demo.focus import Charge
from farthing.demo.telemetry import COARSE_SECONDS, FINE_SECONDS
from farthing.demo.traffic import People
from farthing.demo.world import Calendar


def planted(
    calendar: Calendar, people: People, unlogged: dict[str, object], charges: Sequence[Charge], scale: int
) -> dict[str, object]:
    """The planted things whose days are in the calendar."""
    everything = _everything(people, unlogged, charges, scale)
    runs = {run.job_id: run for run in world.runs(calendar)}
    present = {
        "coding_pair": calendar.last >= world.PAIR_FROM,
        "runaway_agent": world.RUNAWAY_DAY in calendar,
        "forgotten_node": calendar.last >= world.FORGOTTEN_FROM,
        "unpriced_model": calendar.last >= world.UNPRICED_FROM,
        "price_rise": world.PRICE_RISE in calendar,
        "late_bill": world.LATE_FROM in calendar,
        "commitment_expiring": world.COMMITMENT_ENDS in calendar,
        "failed_training": world.FAILED_RUN in runs,
        "credits_end": world.LAST_CREDIT in calendar,
        "untagged_cost": world.UNTAGGED_DAY in calendar,
        "unlogged_stretch": bool(unlogged),
    }
    if world.FAILED_RUN in runs:
        run = runs[world.FAILED_RUN]
        everything["failed_training"] = {
            "job_id": run.job_id,
            "experiment": run.experiment,
            "begin": run.begin.isoformat(),
            "last_checkpoint_at": run.checkpoint.isoformat() if run.checkpoint else None,
            "end": run.end.isoformat(),
            "cost": str(8 * bill.SPOT_GPU * ((run.end - run.begin) // timedelta(hours=1))),
            "lost_cost": str(8 * bill.SPOT_GPU * (world.FAILED_AFTER_CHECKPOINT // timedelta(hours=1))),
        }
    return {name: facts for name, facts in everything.items() if present.get(name, True)}


def _everything(
    people: People, unlogged: dict[str, object], charges: Sequence[Charge], scale: int
) -> dict[str, object]:
    ids = people.customers.ids
    unpriced = sum((charge.cost for charge in charges if charge.sku == world.UNPRICED_MODEL), Decimal(0))
    late = [f"gke-serve-{number:02d}" for number in (4, 5)]
    return {
        "coding_pair": {
            "light": world.LIGHT_USER,
            "heavy": world.HEAVY_USER,
            "from": world.PAIR_FROM.isoformat(),
            "completions_a_day": [world.PAIR_COMPLETIONS, 100 * world.PAIR_COMPLETIONS],
            "cost_ratio": 500,
            "plan": "coding",
        },
        "runaway_agent": {
            "trace_id": world.RUNAWAY_TRACE,
            "day": world.RUNAWAY_DAY.isoformat(),
            "calls": world.RUNAWAY_CALLS,
            "customer_id": ids[world.RUNAWAY_CUSTOMER],
        },
        "forgotten_node": {
            "ResourceId": "i-bench-07",
            "from": world.FORGOTTEN_FROM.isoformat(),
            "cost_a_day": str(2 * 24 * bill.A10G),
        },
        "idle_night": {"hours": [0, 1, 2, 3, 4], "day_hours": [9, 16], "busy_share_below": 0.1, "pool": "inference"},
        "unpriced_model": {
            "model": world.UNPRICED_MODEL,
            "from": world.UNPRICED_FROM.isoformat(),
            "share": world.UNPRICED_SHARE,
            "of": {"provider": "openai", "feature": "answers"},
            "cost": str(unpriced),
        },
        "price_rise": {
            "provider": "openai",
            "model": world.CODING_MODEL,
            "day": world.PRICE_RISE.isoformat(),
            "factor": str(bill.RISE),
        },
        "late_bill": {
            "provider": bill.GCP.name,
            "from": world.LATE_FROM.isoformat(),
            "provisional_resources": late,
            "missing_services": {"Cloud Run": str(scale * bill.a_day("Cloud Run"))},
        },
        "commitment_expiring": {
            "provider": bill.GCP.name,
            "commitment": "cud-acme-2025",
            "first_day_without": world.COMMITMENT_ENDS.isoformat(),
            "gpu_hour": [str(bill.GCP_GPU[0]), str(bill.GCP_GPU[1])],
        },
        "credits_end": {"pool": "credits", "last_month": f"{world.LAST_CREDIT:%Y-%m}"},
        "untagged_cost": {
            "pool": "notebooks",
            "day": world.UNTAGGED_DAY.isoformat(),
            "ResourceId": "notebooks-untagged",
            "cost": "59.84",
        },
        "unlogged_stretch": {
            "replica_id": world.UNLOGGED_REPLICA,
            "begin": world.UNLOGGED[0].isoformat(),
            "end": world.UNLOGGED[1].isoformat(),
            **unlogged,
        },
        "losing_customers": {
            "customer_ids": sorted(ids[number] for number in world.LOSERS),
            "most": ids[world.LOSES_MOST],
            "plan": people.customers.plans[world.LOSES_MOST],
        },
        "unknown_key": world.LOST_KEY,
        "sentinel_user": world.SENTINEL,
        "telemetry": {"seconds": [COARSE_SECONDS, FINE_SECONDS], "fine_from": world.FINE_FROM.isoformat()},
    }
