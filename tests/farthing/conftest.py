"""The tiny company of tests/worlds.py, collected and built once for all tests that only ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.farthing.commands import farthing
from tests.worlds import half_billed, tiny


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project that no test may change."""
    folder = tiny(tmp_path_factory.mktemp("tiny") / "company")
    assert farthing("collect", "--project", folder).code == 0
    assert farthing("build", "--project", folder).code == 0
    return folder


@pytest.fixture(scope="session")
def half_billed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project whose bill ends in the middle of its day; no test may change it."""
    folder = half_billed(tmp_path_factory.mktemp("half") / "company")
    assert farthing("collect", "--project", folder).code == 0
    assert farthing("build", "--project", folder).code == 0
    return folder
