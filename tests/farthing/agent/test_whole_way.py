"""The whole way of a busy second: sampled on a node, shipped to an inbox, collected, and paid for in the ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from farthing import clock
from tests.conftest import ROOT
from tests.farthing.commands import farthing

_TOML = """
[sources.bill]
kind = "focus"
path = "bill.csv"
[sources.gpus]
kind = "gpu_usage"
path = "inbox/gpu_usage/**/*.parquet"
[sources.inventory]
kind = "gpu_inventory"
path = "inbox/gpu_inventory/*.parquet"
[[pools]]
name = "serving"
kind = "gpu"
match = { ResourceId = "i-1" }
"""


@pytest.mark.heavy
def test_what_a_simulated_node_was_busy_reaches_the_warehouse_to_the_microsecond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, inbox = tmp_path / "spool", tmp_path / "inbox"
    command = [sys.executable, "-m", "farthing.agent", "--simulated", "2", "--interval", "1", "--spool", str(spool)]
    environment = {name: value for name, value in os.environ.items() if name != "FARTHING_SHIP"}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as agent:
        deadline = time.monotonic() + 60
        while not any(row["busy_seconds"] for row in rows(spool)):
            assert time.monotonic() < deadline, "the simulated GPUs were never busy"
            time.sleep(0.5)
        agent.send_signal(signal.SIGTERM)
    sampled = rows(spool)
    monkeypatch.setenv("FARTHING_RESOURCE", "i-1")
    monkeypatch.setenv("FARTHING_REPLICA", "llama-0")
    assert farthing("agent", "ship", "--spool", spool, "--to", f"inbox:{inbox}").code == 0

    (tmp_path / "farthing.toml").write_text(_TOML)
    first = datetime.fromisoformat(str(sampled[0]["started_at"])).astimezone(UTC)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    day, month = midnight.isoformat(), midnight.replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    (tmp_path / "bill.csv").write_text(
        "ProviderName,ServiceCategory,ServiceName,ResourceId,ChargeCategory,BillingCurrency,BillingPeriodStart,"
        "BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,BilledCost,EffectiveCost\n"
        f"AWS,Compute,EC2,i-1,Usage,USD,{month.isoformat()},{following.isoformat()},"
        f"{day},{(midnight + timedelta(days=1)).isoformat()},86.4,86.4\n"
    )
    monkeypatch.setattr(clock, "now", lambda: midnight + timedelta(days=2))  # the day is over
    assert farthing("collect", "--project", tmp_path).code == 0
    assert farthing("build", "--project", tmp_path).code == 0
    asked = "select sum(covered_seconds) as covered, sum(busy_seconds) as busy, max(replica_id) as replica from gpu_day"
    [told] = farthing("query", asked, "--project", tmp_path, "--json").value
    begun = [row for row in sampled if str(row["started_at"]) < (midnight + timedelta(days=1)).isoformat()]
    assert float(told["busy"]) == pytest.approx(sum(float(str(row["busy_seconds"])) for row in begun), abs=1e-4)
    assert float(told["covered"]) == pytest.approx(sum(float(str(row["covered_seconds"])) for row in begun), abs=1e-4)
    assert told["replica"] == "llama-0"


def rows(spool: Path) -> list[dict[str, object]]:
    """What the agent has written so far, but for a line that it is writing."""
    text = "".join(path.read_text() for path in sorted([*spool.glob("*.jsonl"), *spool.glob("*.open")]))
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
