"""What `deploy/` gives is what its tools take, and names only what farthing knows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]

from farthing.cli import app
from tests.conftest import ROOT

UNIT = ROOT / "deploy" / "farthing-agent.service"
RUN_UNITS = [ROOT / "deploy" / "farthing-run.service", ROOT / "deploy" / "farthing-run.timer"]
MANIFEST = ROOT / "deploy" / "kubernetes" / "agent.yaml"


def documents() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))}


def options() -> set[str]:
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {option for parameter in commands["agent"].params for option in parameter.opts}


def known_variables() -> set[str]:
    """Every FARTHING_ variable that the agent's own code, its commands and its manifests' readers look at."""
    code = [*(ROOT / "farthing" / "agent").glob("*.py"), *(ROOT / "farthing" / "cli").glob("*.py")]
    return {name for path in code for name in re.findall(r"FARTHING_[A-Z]+", path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("units", [[UNIT], RUN_UNITS], ids=["agent", "run"])
def test_systemd_takes_the_units(units: list[Path], tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    installed = []
    for unit in units:
        text = unit.read_text(encoding="utf-8").replace("/opt/farthing/bin/farthing", "/bin/true")
        installed.append(tmp_path / unit.name)
        installed[-1].write_text(text, encoding="utf-8")
    command = [program, "verify", *map(str, installed)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = [line for line in (said.stdout + said.stderr).splitlines() if "farthing" in line]
    assert (said.returncode, told) == (0, [])


def test_every_way_to_schedule_calls_the_same_command_once_an_hour() -> None:
    folder = ROOT / "deploy"
    timer = RUN_UNITS[1].read_text(encoding="utf-8")
    cron = [
        line for line in (folder / "farthing.cron").read_text(encoding="utf-8").splitlines() if " farthing " in line
    ]
    jobs = list(yaml.safe_load_all((folder / "kubernetes" / "run.yaml").read_text(encoding="utf-8")))
    [job] = [one for one in jobs if one["kind"] == "CronJob"]
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    actions = yaml.safe_load((folder / "github-actions.yml").read_text(encoding="utf-8"))
    assert "OnCalendar=*-*-* *:05:00" in timer
    assert [line.split(maxsplit=5)[:5] for line in cron[-1:]] == [["5", "*", "*", "*", "*"]]
    assert job["spec"]["schedule"] == "5 * * * *" == actions[True]["schedule"][0]["cron"]  # YAML reads `on` as true
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert container["command"][:2] == ["farthing", "run"]
    assert any(step.get("run") == "farthing run" for step in actions["jobs"]["run"]["steps"])
    assert "farthing run --project" in cron[-1]
    assert "farthing run --project" in RUN_UNITS[0].read_text(encoding="utf-8")


def test_the_unit_restarts_within_the_ring_and_without_end() -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert {"Restart=always", "RestartSec=1", "StartLimitIntervalSec=0", "DynamicUser=yes"} <= set(text.splitlines())
    [command] = re.findall(r"^ExecStart=/opt/farthing/bin/farthing agent (.*)$", text, re.MULTILINE)
    assert set(re.findall(r"--\w+", command)) <= options()
    assert set(re.findall(r"FARTHING_[A-Z]+", text)) <= known_variables()


def test_the_daemonset_runs_a_command_that_is_there_with_variables_that_are_read() -> None:
    daemon = documents()["DaemonSet"]
    pod = daemon["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"][:2] == ["farthing", "agent"]
    assert {part for part in container["command"] if part.startswith("--")} <= options()
    names = {one["name"] for one in container["env"]}
    assert {name for name in names if name.startswith("FARTHING_")} <= known_variables()
    assert {"FARTHING_SHIP", "FARTHING_SPOOL", "NVIDIA_VISIBLE_DEVICES"} <= names
    assert daemon["spec"]["selector"]["matchLabels"].items() <= daemon["spec"]["template"]["metadata"]["labels"].items()


def test_the_spool_outlives_the_pod_and_no_gpu_is_taken_from_the_workloads() -> None:
    documents_ = documents()
    pod = documents_["DaemonSet"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    paths = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    values = {one["name"]: one.get("value") for one in container["env"]}
    assert paths[mounts[values["FARTHING_SPOOL"]]] == "/var/lib/farthing/spool"
    assert "nvidia.com/gpu" not in str(container["resources"])
    assert pod["serviceAccountName"] == documents_["ServiceAccount"]["metadata"]["name"]
