"""The simulated company's input files: Parquet and CSV, as its gateways, nodes and vendors would leave them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import polars as pl

from farthing.demo import world
from farthing.demo.focus import COLUMNS, Charge
from farthing.demo.traffic import VENDOR_MODELS, Request
from farthing.demo.truth import BUCKET_SECONDS, Telemetry

_TIME = pl.Datetime("us", "UTC")
_EPOCH = round(world.WEEK_BEGIN.timestamp()) * 1_000_000
_VALID_FROM = "2026-01-01T00:00:00Z"


def requests(folder: Path, found: Sequence[Request], cell: int) -> None:
    """One file a day and gateway: `serving-*` for our own models, `gateway-*` for the vendors'."""
    replicas = world.replica_names(cell)
    for number, day in enumerate(world.DAYS):
        of_day = [request for request in found if int(request.arrived // 86_400) == number]
        name = f"{cell + 1:02d}-{day.isoformat()}.parquet"
        served = [_served(request, replicas) for request in of_day if request.work]
        _parquet(pl.DataFrame(served, schema=_SERVED, orient="row"), folder / f"serving-{name}")
        bought = [_bought(request) for request in of_day if not request.work]
        _parquet(pl.DataFrame(bought, schema=_BOUGHT, orient="row"), folder / f"gateway-{name}")


_SERVED: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "started_at": _TIME,
    "first_token_at": _TIME,
    "ended_at": _TIME,
    "user_id": pl.String(),
    "model": pl.String(),
    "replica_id": pl.String(),
    "input_tokens": pl.Int64(),
    "cached_input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "status": pl.String(),
    "trace_id": pl.String(),
    "agent": pl.String(),
    "tool": pl.String(),
    "feature": pl.String(),
    "environment": pl.String(),
}

_BOUGHT: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "start_time": _TIME,
    "first_token_time": _TIME,
    "end_time": _TIME,
    "user_id": pl.String(),
    "team_id": pl.String(),
    "customer_id": pl.String(),
    "provider": pl.String(),
    "requested_model": pl.String(),
    "response_model": pl.String(),
    "input_tokens": pl.Int64(),
    "cached_input_tokens": pl.Int64(),
    "cache_write_tokens": pl.Int64(),
    "cache_write_1h_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "reasoning_tokens": pl.Int64(),
    "usage_quality": pl.String(),
    "status": pl.String(),
    "trace_id": pl.String(),
    "agent": pl.String(),
    "tool": pl.String(),
    "feature": pl.String(),
    "environment": pl.String(),
}


def _served(request: Request, replicas: Sequence[str]) -> tuple[object, ...]:
    """Our gateway knows the key only: identities.csv says who that is."""
    work = request.work
    assert work is not None
    return (
        request.request_id, _moment(work.arrived), _moment(work.first_token), _moment(work.ended), request.person.key,
        request.model, replicas[work.replica], request.input_tokens, request.cached_tokens, request.output_tokens,
        "ok", request.trace_id, request.agent, request.tool, request.feature, request.environment,
    )  # fmt: skip


def _bought(request: Request) -> tuple[object, ...]:
    """A class of tokens that the vendor does not report is null, and so is all usage of a cancelled request."""
    vendor, person = VENDOR_MODELS[request.route], request.person
    tokens: tuple[int | None, ...] = (
        request.input_tokens,
        request.cached_tokens,
        request.cache_write_tokens if vendor.writes_cache else None,
        request.cache_write_1h_tokens if vendor.writes_cache else None,
        request.output_tokens,
        request.reasoning_tokens if vendor.reasons else None,
    )
    quality, status = "reported", "ok"
    if request.cancelled:
        tokens, quality, status = (None,) * len(tokens), "missing", "cancelled"
    return (
        request.request_id, _moment(request.arrived), _moment(request.first_token), _moment(request.ended),
        person.user_id, person.team_id, person.customer_id, vendor.provider, vendor.model, vendor.response_model,
        *tokens, quality, status, request.trace_id, request.agent, request.tool, request.feature, request.environment,
    )  # fmt: skip


def request_truth(folder: Path, found: Iterable[Request], cell: int) -> None:
    """The GPU-seconds that each request to our own models truly took."""
    rows = [
        (request.request_id, request.person.user_id, request.work.replica_seconds * world.GPUS_PER_REPLICA)
        for request in found
        if request.work
    ]
    schema: dict[str, pl.DataType] = {"request_id": pl.String(), "user_id": pl.String(), "gpu_seconds": pl.Float64()}
    _parquet(pl.DataFrame(rows, schema=schema, orient="row"), folder / f"requests-{cell + 1:02d}.parquet")


def telemetry(folder: Path, name: str, traces: Iterable[Telemetry]) -> None:
    """One file a day: covered and busy seconds of each GPU and ten seconds; what was not observed is not there."""
    per_day = 86_400 // BUCKET_SECONDS
    traces = list(traces)
    for number, day in enumerate(world.DAYS):
        frames = []
        for trace in traces:
            buckets = [
                bucket for bucket in range(number * per_day, (number + 1) * per_day) if bucket not in trace.unobserved
            ]
            started = pl.Series([_EPOCH + bucket * BUCKET_SECONDS * 1_000_000 for bucket in buckets], dtype=pl.Int64)
            frames.append(
                pl.DataFrame({
                    "started_at": started.cast(_TIME),
                    "ended_at": (started + BUCKET_SECONDS * 1_000_000).cast(_TIME),
                    "busy_seconds": pl.Series([trace.busy[bucket] for bucket in buckets], dtype=pl.Int64) / 1_000_000,
                }).with_columns(
                    gpu_uuid=pl.lit(trace.gpu.gpu_uuid),
                    node_id=pl.lit(trace.gpu.node_id),
                    covered_seconds=pl.lit(float(BUCKET_SECONDS)),
                    busy_source=pl.lit("nvml_ring"),
                    state=pl.lit("ok"),
                )
            )  # fmt: skip
        _parquet(pl.concat(frames), folder / f"{name}-{day.isoformat()}.parquet")


def bills(folder: Path, charges: Iterable[Charge]) -> None:
    """One CSV file for each vendor."""
    by_file: dict[str, list[dict[str, str]]] = {}
    for charge in charges:
        by_file.setdefault(charge.vendor.file, []).append(charge.row())
    for name, rows in by_file.items():
        _csv(folder / name, COLUMNS, rows)


def inventory(path: Path, scale: int) -> None:
    """Which GPU stands in which billed machine and serves which replica."""
    rows = [
        {
            "gpu_uuid": gpu.gpu_uuid,
            "node_id": gpu.node_id,
            "ResourceId": gpu.resource_id,
            "replica_id": gpu.replica_id or "",
            "gpu_model": world.GPU_MODEL,
            "team_id": world.FLEET_OWNER,
            "model": world.SERVED_MODEL if gpu.replica_id else "",
            "valid_from": _VALID_FROM,
        }
        for gpu in [*(gpu for cell in range(scale) for gpu in world.serving_gpus(cell)), *world.training_gpus()]
    ]
    _csv(path, list(rows[0]), rows)


def identities(path: Path, everybody: Sequence[world.Person]) -> None:
    """Gateway keys and the users behind them; the first user's key changes hands, one key is not listed at all."""
    columns = ["id", "kind", "user_id", "customer_id", "team_id", "plan", "cost_center", "valid_from", "valid_to"]
    handed_over = _text(world.KEY_HANDED_OVER)
    first = everybody[0]
    heir = world.successor(first)
    known = [person for person in everybody if person.key != world.LOST_KEY]
    rows = [_identity("key", person.key, person, valid_to=handed_over if person is first else "") for person in known]
    rows.append(_identity("key", heir.key, heir, valid_from=handed_over))
    rows += [_identity("user", person.user_id, person) for person in [*known, heir]]
    _csv(path, columns, rows)


def _identity(
    kind: str, name: str, person: world.Person, *, valid_from: str = _VALID_FROM, valid_to: str = ""
) -> dict[str, str]:
    return {
        "id": name,
        "kind": kind,
        "user_id": person.user_id,
        "customer_id": person.customer_id or "",
        "team_id": person.team_id or "",
        "plan": person.plan or "",
        "cost_center": world.TEAMS[person.team_id] if person.team_id else "",
        "valid_from": valid_from,
        "valid_to": valid_to,
    }


def jobs(path: Path) -> None:
    """Training and batch jobs."""
    rows = [
        {
            "job_id": job.job_id,
            "experiment": job.experiment,
            "model_produced": job.model_produced or "",
            "team_id": job.team_id,
            "user_id": job.user_id,
            "gpu_uuids": " ".join(job.gpu_uuids),
            "node_id": job.node_id or "",
            "gpu_count": str(job.gpu_count or ""),
            "started_at": _text(job.begin),
            "ended_at": _text(job.end),
            "status": job.status,
        }
        for job in world.jobs()
    ]
    _csv(path, list(rows[0]), rows)


def metrics(path: Path, everybody: Iterable[world.Person], random: Random) -> None:
    """The vectors that each customer stores, day by day: they grow a little."""
    customers = sorted({person.customer_id for person in everybody if person.customer_id})
    size = {customer: round(random.lognormvariate(15, 1.1)) for customer in customers}
    rows = [
        {
            "day": day.isoformat(),
            "dimension": "customer",
            "key": customer,
            "name": "vectors_stored",
            "quantity": str(size[customer] + number * (size[customer] // 150)),
        }
        for number, day in enumerate(world.DAYS)
        for customer in customers
    ]
    _csv(path, list(rows[0]), rows)


def _moment(seconds: float) -> int:
    return _EPOCH + round(seconds * 1_000_000)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd")
