"""A lake in a folder, and for most tests the same in an S3 bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from farthing.lake import Lake
from tests.servers import S3, moto_endpoint, s3  # noqa: F401  # fixtures


@pytest.fixture
def folder(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def bucket(s3: S3, tmp_path: Path) -> Lake:  # noqa: F811
    return Lake(f"s3://{s3.bucket}/below/lake", s3.options, tmp_path / "cache")


@pytest.fixture(params=["folder", "bucket"])
def lake(request: pytest.FixtureRequest) -> Lake:
    made: Lake = request.getfixturevalue(request.param)
    return made
