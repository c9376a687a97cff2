"""What every test may ask for. Two rules of a run: no skips where it must run, no writes into the checkout."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

ROOT = Path(__file__).resolve().parent.parent
#: Set in CI, where every component is there: a skip then says that something is broken.
MUST_RUN = os.environ.get("FARTHING_MUST_RUN") == "1"
#: Folders in which tools keep what they like.
_TOOL_FOLDERS = {".git", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}

settings.register_profile(
    "farthing", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("farthing-ci", parent=settings.get_profile("farthing"), max_examples=200, derandomize=True)
settings.load_profile("farthing-ci" if MUST_RUN else "farthing")


@pytest.fixture(autouse=True)
def main_stays() -> Generator[None, None, None]:
    """Give `__main__` back after a test: Streamlit's AppTest puts its page there, and a spawned process runs that."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real bills, logs and telemetry that lies beside a developer's checkout and is no part of it."""
    given = os.environ.get("FARTHING_SHARED")
    places = [Path(given) / "data", Path(given)] if given else [ROOT.parent / "shared" / "data"]
    for place in places:
        if (place / "billing").is_dir():
            return place
    pytest.skip(f"needs the shared data, which is not in {places[0]}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for browser tests."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("needs a Chromium on the path")


def _fail_if_it_must_run(report: Report) -> Report:
    if MUST_RUN and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"FARTHING_MUST_RUN=1 allows no skip, but: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where it must run; an expected failure stays one."""
    return _fail_if_it_must_run((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips as a whole."""
    return _fail_if_it_must_run((yield))


def _files() -> dict[str, tuple[int, int]]:
    """Size and time of every file of the checkout, by path."""
    found = {}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _TOOL_FOLDERS]
        for name in names:
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):  # an editor's file may be gone again
                status = os.lstat(path)
                found[os.path.relpath(path, ROOT)] = (status.st_size, status.st_mtime_ns)
    return found


class CheckoutGuard:
    """Fails a run that wrote into the checkout; only tells of it outside CI, where an editor may be at work too."""

    def __init__(self) -> None:
        self.before = _files()
        self.touched: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare the checkout with what it was."""
        after = _files()
        self.touched = sorted(
            path for path in self.before.keys() | after.keys() if self.before.get(path) != after.get(path)
        )
        if self.touched and MUST_RUN:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name what was written."""
        if self.touched:
            terminalreporter.section("written into the checkout while the tests ran")
            terminalreporter.line("\n".join(self.touched[:20]))


def pytest_configure(config: pytest.Config) -> None:
    """Watch the checkout from the one process that sees the whole run."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(CheckoutGuard())
