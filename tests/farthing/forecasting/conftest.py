"""The company of company.py, built once for tests that only ask."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from farthing.config import Config, from_mapping
from tests.farthing.build.world import DAY
from tests.farthing.forecasting.company import DAYS, POOLS, built, day_of, world

TOML = """\
[project]
name = "two teams"
[forecast]
model = "weekday_mean"
horizon_days = 45
paths = 100
scopes = ["total", "team", "model", "team x model", "pool"]
"""


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project that no test may change."""
    made = world()
    for number in range(DAYS):
        day_of(made, DAY + timedelta(days=number))
    folder = built(tmp_path_factory.mktemp("forecast") / "company", made)
    (folder / "farthing.toml").write_text(TOML, encoding="utf-8")
    return folder


@pytest.fixture
def own_company(company: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(company, tmp_path / "company"))


def config_of(folder: Path, **forecast: object) -> Config:
    """The configuration of the company, with keys of `[forecast]`."""
    settings = {"model": "weekday_mean", "horizon_days": 45, "paths": 100} | forecast
    settings.setdefault("scopes", ["total", "team", "model", "team x model", "pool"])
    return from_mapping({"forecast": settings, "pools": [dict(pool) for pool in POOLS]}, file=folder / "farthing.toml")
