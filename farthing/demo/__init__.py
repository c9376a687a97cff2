"""A small simulated company, labelled so: one week of bills, requests and GPU telemetry from a seed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

from farthing.config import FILE_NAME
from farthing.demo import bill, engine, files, traffic, truth, world
from farthing.demo.project import TOML
from farthing.errors import ConfigError

__all__ = ["DemoFacts", "write"]

#: Counts up with every change of what the same seed gives.
_GENERATION = 1
_TRUTH = Path("truth") / "truth.json"


@dataclass(frozen=True)
class DemoFacts:
    """What lies in a demo's folder; `bill` is the exact sum of all bills by currency, `truth` the planted facts."""

    folder: Path
    first_day: date
    last_day: date
    requests: int
    users: int
    bill: dict[str, Decimal]
    truth: Path


def write(
    folder: Path, *, scale: int = 1, seed: int = 7, report: Callable[[str], None] = lambda _line: None
) -> DemoFacts:
    """Make the project folder of the simulated company; the same `scale` and `seed` give the same bytes.

    `scale` multiplies requests, users, customers and GPU nodes. A folder that already holds this demo is left as it
    is. The files appear at once, under a name of their own until they are whole.

    Raises:
        ConfigError: the folder holds something else or cannot be written, or `scale` is below 1.
    """
    if scale < 1:
        raise ConfigError(f"a demo of scale {scale} has no requests.", file="demo", key="scale", fix="1 or more.")
    folder = folder.resolve()
    identity = {"generation": _GENERATION, "scale": scale, "seed": seed}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if _identity(folder) == identity:
            return _facts(folder)
        raise ConfigError(
            f"the folder holds something other than this demo (scale {scale}, seed {seed}).",
            file=folder,
            fix="name a new folder, or delete this one.",
        )
    report(f"making one simulated week of a company that does not exist (scale {scale}, seed {seed}) ...")
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        for name in ("bills", "requests", "gpu", "truth"):
            (partial / name).mkdir(parents=True)
        _write(partial, scale=scale, seed=seed, identity=identity, report=report)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error}.", file=folder, fix="name another folder.") from error
    return _facts(folder)


def _write(folder: Path, *, scale: int, seed: int, identity: dict[str, int], report: Callable[[str], None]) -> None:
    record = truth.Record()
    usage: bill.Usage = {}
    everybody: list[world.Person] = []
    for cell in range(scale):
        random = Random(f"{seed}/{cell}")
        people = world.people(random, cell)
        everybody += people
        requests = traffic.requests(random, people, cell)
        report(f"  part {cell + 1} of {scale}: {len(requests):,} requests of {len(people)} users")
        replicas = [
            engine.Replica(engine.Timing(), closed=truth.drained(cell, index))
            for index in range(world.REPLICAS_PER_CELL)
        ]
        engine.run([request.work for request in requests if request.work], replicas)
        bill.add_usage(usage, requests)
        files.requests(folder / "requests", requests, cell)
        telemetry = truth.telemetry(cell, replicas)
        files.telemetry(folder / "gpu", f"serving-{cell + 1:02d}", telemetry)
        record.add(cell, requests, telemetry)
        files.request_truth(folder / "truth", requests, cell)
    files.telemetry(folder / "gpu", "training", truth.training_telemetry(Random(f"{seed}/training")))
    report("  bills, inventory, people, jobs, metrics")
    charges = bill.charges(usage, scale=scale)
    files.bills(folder / "bills", charges)
    files.inventory(folder / "inventory.csv", scale)
    files.identities(folder / "identities.csv", everybody)
    files.jobs(folder / "jobs.csv")
    files.metrics(folder / "metrics.csv", everybody, Random(f"{seed}/metrics"))
    (folder / FILE_NAME).write_text(TOML, encoding="utf-8", newline="\n")
    facts = {"simulated": True, "identity": identity, **record.facts(), **bill.sums(charges)}
    (folder / _TRUTH).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")


def _identity(folder: Path) -> object:
    try:
        facts = json.loads((folder / _TRUTH).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts.get("identity") if isinstance(facts, dict) else None


def _facts(folder: Path) -> DemoFacts:
    facts = json.loads((folder / _TRUTH).read_text(encoding="utf-8"))
    return DemoFacts(
        folder=folder,
        first_day=world.DAYS[0],
        last_day=world.DAYS[-1],
        requests=facts["requests"],
        users=facts["users"],
        bill={currency: Decimal(cost) for currency, cost in facts["bill"].items()},
        truth=folder / _TRUTH,
    )
