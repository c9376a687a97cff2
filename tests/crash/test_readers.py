"""Who polls the warehouse while it is built, published and killed sees one whole state after the other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from random import Random
from time import sleep

import pytest

from tests.conftest import ROOT
from tests.crash import worlds
from tests.crash.child import started, wait_for
from tests.crash.conftest import Course

_PRICES = ("0.000000000001", "0.5")


def bills(project: Path) -> list[tuple[str, str]]:
    """What the bill comes to, one and the other way."""
    made = []
    for price in _PRICES:
        worlds.bill(project, price)
        lines = (project / "bill.csv").read_text().splitlines()
        column = lines[0].split(",").index("BilledCost")
        total = sum((Decimal(line.split(",")[column]) for line in lines[1:]), Decimal(0))
        made.append(("USD", str(total.quantize(Decimal("1E-12")))))
    return made


@pytest.mark.parametrize("rounds", [pytest.param(1, marks=pytest.mark.slow), pytest.param(15, marks=pytest.mark.heavy)])
def test_a_reader_never_sees_an_error_or_half_a_state(courses: dict[str, Course], tmp_path: Path, rounds: int) -> None:
    project, done = tmp_path / "project", tmp_path / "done"
    shutil.copytree(courses["first"].end, project)
    totals = bills(project)
    command = [sys.executable, "-m", "tests.crash.reader", str(project), str(done)]
    readers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    random = Random(rounds)
    try:
        for reader in readers:
            wait_for(reader, "reading")
        for number in range(rounds):
            worlds.bill(project, _PRICES[1 - number % 2])
            if number % 3 == 1:  # killed: the next round finds the lake as it is then
                with started(project) as process:
                    sleep(random.uniform(0, 4))
                    process.kill()
            else:
                worlds.collect_and_build(project)
        worlds.sound(project)
    finally:
        done.touch()
        told = [json.loads(reader.communicate()[0] or "{}") for reader in readers]
    for reader in told:
        assert reader["problems"] == []
        assert reader["reads"] > rounds
        assert len(reader["seen"]) >= 2
        assert {tuple(one) for one in reader["seen"]} <= set(totals), "a total that no bill had"
