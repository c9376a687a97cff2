"""Which GPUs this node has, on which billed machine, for which replica, and since when: rows of `gpu_inventory`.

The history of a node is one small table that grows by a row with each change. It is kept in the spool and written as a
whole to where the telemetry goes; a node that lost its spool takes up what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from farthing import clock
from farthing.agent.metadata import Machine
from farthing.durable import replace_file
from farthing.errors import ConfigError, SourceError

#: What is said of a GPU; a change of any of it begins a new row.
FACTS = (
    *("gpu_uuid", "parent_gpu_uuid", "node_id", "ResourceId", "replica_id", "gpu_model", "mig_profile"),
    *("team_id", "model", "provider", "region", "instance_type"),
)
#: What only the agent's environment knows: under Kubernetes the downward API can fill it.
ENVIRONMENT = {"replica_id": "FARTHING_REPLICA", "team_id": "FARTHING_TEAM", "model": "FARTHING_MODEL"}
RESOURCE = "FARTHING_RESOURCE"
_FILE = "inventory.json"

Row = dict[str, Any]


def node(spool: Path) -> dict[str, Any] | None:
    """What the sampler says of its node; None when it has not run yet.

    Raises:
        ConfigError: the file is damaged.
    """
    path = spool / "node.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        datetime.fromisoformat(told["sampled_at"])
        if not isinstance(told["node_id"], str) or not all(isinstance(one["gpu_uuid"], str) for one in told["gpus"]):
            raise TypeError("node_id or gpu_uuid is no text")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"is damaged ({error}).", file=path, fix="restart the agent: it writes the file anew."
        ) from error
    return dict(told)


def known(spool: Path) -> list[Row] | None:
    """The history as the spool has it; None when it has none."""
    try:
        return [dict(row) for row in json.loads((spool / _FILE).read_text(encoding="utf-8"))["rows"]]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        fix = "delete it: the history is taken up from the lake or inbox."
        raise ConfigError(f"is damaged ({error}).", file=spool / _FILE, fix=fix) from error


def machine_now(ask: Callable[[], Machine | None], history: Sequence[Row], node_id: str) -> Machine:
    """The billed machine: as FARTHING_RESOURCE says, as the cloud says, as it was, else the node by its name.

    A metadata service that is silent for a while moves no GPU.

    Raises:
        SourceError: it is a cloud's machine, nobody says which, and nobody ever did.
    """
    problem: SourceError | None = None
    found: Machine | None = None
    try:
        found = ask()
    except SourceError as error:
        problem = error
    before = [row for row in history if row["valid_to"] is None and row["provider"]]
    if found is None and before:
        last = before[-1]
        found = Machine(last["ResourceId"], last["provider"], last["region"], last["instance_type"])
    if os.environ.get(RESOURCE):
        return replace(found or Machine(""), resource=os.environ[RESOURCE])
    if found is not None:
        return found
    if problem is not None:
        raise problem
    return Machine(node_id)


def brought_up(history: Sequence[Row], told: Mapping[str, Any], machine: Machine) -> list[Row]:
    """`history` with what `told` (node.json) changes: rows that end, and rows that begin.

    A board that is cut into MIG instances is none itself. A list without any GPU says nothing: a driver that is being
    replaced shows none.
    """
    rows = [dict(row) for row in history]
    present = {one["gpu_uuid"]: one for one in told["gpus"] if not one.get("mig")}
    if not present:
        return rows
    sampled_at = datetime.fromisoformat(told["sampled_at"]).astimezone(UTC)
    current = {row["gpu_uuid"]: row for row in rows if row["valid_to"] is None}
    for uuid in [*current, *(uuid for uuid in present if uuid not in current)]:
        before = current.get(uuid)
        now = _facts(present[uuid], told["node_id"], machine, before) if uuid in present else None
        if before is not None and now == {name: before[name] for name in FACTS}:
            continue
        # The first rows of the telemetry begin with their interval, some seconds before node.json is written.
        begins = sampled_at if history else sampled_at.replace(second=0, microsecond=0)
        if before is not None:
            began = datetime.fromisoformat(before["valid_from"])
            # The sampler saw another GPU; what else changed, changed between two looks of ours.
            begins = sampled_at if sampled_at > began else max(clock.now(), began + timedelta(microseconds=1))
            before["valid_to"] = begins.isoformat()
        if now is not None:
            rows.append({**now, "valid_from": begins.isoformat(), "valid_to": None})
    return rows


def _facts(gpu: Mapping[str, Any], node_id: str, machine: Machine, before: Row | None) -> Row:
    facts: Row = {
        "gpu_uuid": gpu["gpu_uuid"],
        "parent_gpu_uuid": gpu.get("parent_gpu_uuid"),
        "node_id": node_id,
        "ResourceId": machine.resource,
        "gpu_model": gpu.get("gpu_model"),
        "mig_profile": gpu.get("mig_profile"),
        "provider": machine.provider,
        "region": machine.region,
        "instance_type": machine.instance_type,
    }
    for column, variable in ENVIRONMENT.items():
        # A shell that lacks the variable does not know better than the agent that had it; an empty one does.
        given = os.environ.get(variable)
        facts[column] = (given or None) if given is not None else before[column] if before else None
    return {name: facts[name] for name in FACTS}


def fingerprint(rows: Sequence[Row]) -> str:
    """What tells one history from another."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


def written(spool: Path, to: str) -> str:
    """The fingerprint of the history that was last written to `to`; empty when none was."""
    try:
        return str(json.loads((spool / _FILE).read_text(encoding="utf-8"))["written"].get(to, ""))
    except (OSError, ValueError, KeyError, AttributeError):
        return ""


def keep(spool: Path, rows: Sequence[Row], to: str) -> None:
    """Write down the history, and that `to` has it."""
    replace_file(spool / _FILE, json.dumps({"rows": list(rows), "written": {to: fingerprint(rows)}}).encode())
