"""Jobs out of sacct's files: allocations that began, each run once, with the nodes and GPUs that they had."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.slurm import gpus_of, nodes_of
from farthing.errors import ConfigError
from farthing.lake.schemas import JOBS

HEADER = "JobID|JobName|User|Account|State|Start|End|AllocTRES|NodeList\n"
TRES = "billing=8,cpu=8,gres/gpu:a100=4,gres/gpu=4,mem=64G,node=1"


def line(job: str, start: str = "10:00", end: str = "11:00", state: str = "COMPLETED", **other: str) -> str:
    begin, last = (time if ":" not in time else f"2026-11-02T{time}:00" for time in (start, end))
    told = {"name": "train", "tres": TRES, "nodes": "n1", **other}
    return f"{job}|{told['name']}|ann|red|{state}|{begin}|{last}|{told['tres']}|{told['nodes']}\n"


def held(world: Any) -> list[tuple[Any, ...]]:
    return [
        (row["job_id"], str(row["started_at"].time()), row["ended_at"] and str(row["ended_at"].time()), row["status"])
        for row in world.rows(JOBS, "job_id")
    ]


def test_an_allocation_lands_with_its_nodes_and_gpus_and_its_steps_are_left_aside(world: Any) -> None:
    world.write(
        "in.txt",
        HEADER
        + line("7", nodes="n[01-02]")
        + line("7.batch")
        + line("7.0")
        + line("8", "Unknown", "Unknown", "PENDING"),
    )
    result = world.one("slurm", "in.txt", timezone="Europe/Berlin")
    assert (result.read, result.landed) == (1, 1)
    (row,) = world.rows(JOBS)
    names = ("job_id", "run_id", "experiment", "team_id", "user_id", "node_id", "gpu_count")
    assert [row[name] for name in names] == ["7", "7", "train", "red", "ann", "n01 n02", 4]
    assert held(world) == [("7", "09:00:00", "10:00:00", "completed")]


def test_sacct_writes_the_clusters_own_time_and_the_zone_must_be_said(world: Any) -> None:
    world.write("in.txt", HEADER + line("7"))
    with pytest.raises(ConfigError, match=r"timezone|no time zone"):
        world.one("slurm", "in.txt")
    world.write("epoch.txt", HEADER + line("7", "1793613600", "1793617200"))  # SLURM_TIME_FORMAT=%s
    world.one("slurm", "epoch.txt")
    assert held(world) == [("7", "10:00:00", "11:00:00", "completed")]


def test_each_run_of_a_requeued_job_and_each_task_of_an_array_is_a_job(world: Any) -> None:
    text = line("9", "08:00", "09:00", "PREEMPTED") + line("9", "10:00", "Unknown", "RUNNING")
    text += (
        line("9_1", state="CANCELLED by 1000")
        + line("9_2", state="OUT_OF_MEMORY")
        + line("9_[3-7]", "Unknown", "Unknown", "PENDING")
    )
    world.write("in.txt", HEADER + text)
    world.one("slurm", "in.txt", timezone="UTC")
    assert held(world) == [
        ("9", "10:00:00", None, "running"),
        ("9@2026-11-02T08:00:00", "08:00:00", "09:00:00", "preempted"),
        ("9_1", "10:00:00", "11:00:00", "cancelled"),
        ("9_2", "10:00:00", "11:00:00", "out_of_memory"),
    ]
    assert {row["run_id"] for row in world.rows(JOBS)} == {"9"}


def test_a_later_file_says_how_a_running_job_ended(world: Any) -> None:
    world.write("1.txt", HEADER + line("7", end="Unknown", state="RUNNING"))
    world.collect("slurm", "*.txt", timezone="UTC")
    world.write("2.txt", HEADER + line("7", state="FAILED"))
    world.collect("slurm", "*.txt", timezone="UTC")
    assert held(world) == [("7", "10:00:00", "11:00:00", "failed")]
    assert {result.status for result in world.collect("slurm", "*.txt", timezone="UTC")} == {"unchanged"}


def test_what_cannot_be_read_is_rejected_with_its_line(world: Any) -> None:
    bad = [
        line("1", nodes="n[1-"), line("2", nodes="n[9-1]"), line("3", tres="gres/gpu=many"), line("4", name="a|b"),
        line("5", "yesterday"), line("6", "11:00", "10:00"), "7|x\n", line(""), line("9", end="soon"),
        line("10", nodes="n[a-b]"),
    ]  # fmt: skip
    world.write("in.txt", HEADER + "".join(bad) + line("11"))
    result = world.one("slurm", "in.txt", timezone="UTC")
    assert (result.read, result.landed, result.rejected) == (11, 1, 10)
    assert [line for line, _ in world.rejects()] == list(range(2, 12))
    world.write("no.txt", "JobID JobName\n")
    assert "is missing" in world.one("slurm", "no.txt", timezone="UTC").problem


def test_a_name_with_a_bar_is_no_harm_where_it_stands_last(world: Any) -> None:
    fields = "|".join(["7", "COMPLETED", "2026-11-02T10:00:00", "2026-11-02T11:00:00", TRES, "n1", "a|b"])
    world.write("in.txt", f"JobID|State|Start|End|AllocTRES|NodeList|JobName\n{fields}\n")
    world.one("slurm", "in.txt", timezone="UTC")
    assert [row["experiment"] for row in world.rows(JOBS)] == ["a|b"]


def test_a_field_of_sacct_can_stand_for_the_team(world: Any) -> None:
    world.write("in.txt", HEADER.replace("\n", "|QOS\n") + line("7").replace("\n", "|blue\n"))
    world.one("slurm", "in.txt", timezone="UTC", columns={"team_id": "QOS"})
    assert [row["team_id"] for row in world.rows(JOBS)] == ["blue"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[01-03,7],login", ["n01", "n02", "n03", "n7", "login"]),
        ("r[1-2]n[08-10]-ib", [f"r{rack}n{node}-ib" for rack in "12" for node in ("08", "09", "10")]),
        ("None assigned", []),
        ("", []),
    ],
)
def test_a_node_list_stands_for_its_nodes(text: str, names: list[str]) -> None:
    assert nodes_of(text) == names


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        (TRES, 4),
        ("gres/gpu:a100=2,gres/gpu:h100=1,cpu=1", 3),
        ("cpu=4,node=1", 0),
        ("", 0),
        ("gres/gpumem=4,gres/shard=2", 0),
    ],
)
def test_gpus_are_counted_once_whether_by_type_or_in_all(tres: str, gpus: int) -> None:
    assert gpus_of(tres) == gpus
