"""The stub of NVIDIA's driver, compiled once, and nodes that run on it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nvml.nodes import Node

STUB = Path(__file__).with_name("stub.c")


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a libnvidia-ml.so.1: `new`, and `old` that lacks what drivers before Hopper lacked."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (gcc) for the stub of the driver")
    found = {}
    for name, options in {"new": [], "old": ["-DOLD_DRIVER"]}.items():
        folder = tmp_path_factory.mktemp(f"driver-{name}")
        library = str(folder / "libnvidia-ml.so.1")
        made = [compiler, "-O1", "-Wall", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", *options]
        subprocess.run([*made, "-o", library, str(STUB)], check=True, timeout=60)
        found[name] = folder
    return found


@pytest.fixture
def node(drivers: dict[str, Path], tmp_path: Path) -> Callable[..., Node]:
    """Makes a node: its GPUs as the stub's script has them."""

    def made(*script: str, driver: str = "new", **settings: object) -> Node:
        folder = tmp_path / f"node-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Node(folder, drivers[driver], script, **settings)

    return made
