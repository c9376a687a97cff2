"""The rules that conftest.py lays on every run: no skip where all must run, no write into the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

SKIPS = """
import pytest

def test_needs_the_shared_data(shared): ...

@pytest.mark.skip(reason="needs a component")
def test_is_marked(): ...

def test_skips_on_its_way():
    pytest.skip("needs another component")

@pytest.mark.xfail(strict=True)
def test_is_expected_to_fail():
    assert False
"""


def run(folder: Path, tests: str, *arguments: str, must_run: bool) -> subprocess.CompletedProcess[str]:
    """Run `tests` under a copy of conftest.py in a checkout of its own at `folder`."""
    (folder / "tests").mkdir(parents=True)
    shutil.copy(CONFTEST, folder / "tests")
    (folder / "tests" / "test_it.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\n")
    unset = ("FARTHING_", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=environment | ({"FARTHING_MUST_RUN": "1"} if must_run else {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.heavy
@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_a_skip_fails_where_all_must_run_and_an_expected_failure_does_not(tmp_path: Path, workers: list[str]) -> None:
    done = run(tmp_path / "checkout", SKIPS, *workers, must_run=True)
    assert "1 failed, 1 xfailed, 2 errors" in done.stdout
    assert "needs the shared data, which is not in" in done.stdout


@pytest.mark.heavy
def test_a_file_that_skips_as_a_whole_fails_where_all_must_run(tmp_path: Path) -> None:
    skips = "import pytest\npytest.importorskip('no_such_package')\ndef test_it(): ...\n"
    assert "1 error" in run(tmp_path / "checkout", skips, must_run=True).stdout


@pytest.mark.slow
def test_a_skip_on_a_bare_machine_is_a_skip(tmp_path: Path) -> None:
    assert "3 skipped, 1 xfailed" in run(tmp_path / "checkout", SKIPS, must_run=False).stdout


@pytest.mark.heavy
def test_a_write_into_the_checkout_is_named_and_fails_where_all_must_run(tmp_path: Path) -> None:
    writes = "from pathlib import Path\ndef test_it():\n    Path('lake.tmp').write_text('x')\n"
    told = run(tmp_path / "told", writes, must_run=False)
    failed = run(tmp_path / "failed", writes, must_run=True)
    assert "lake.tmp" in told.stdout
    assert told.returncode == 0
    assert "lake.tmp" in failed.stdout
    assert failed.returncode == 1


@pytest.mark.slow
def test_a_test_that_puts_its_own_module_in_main_leaves_the_next_one_the_old_one(tmp_path: Path) -> None:
    replaces = (
        "import sys, types\nkept = sys.modules['__main__']\n"
        "def test_first(): sys.modules['__main__'] = types.ModuleType('page')\n"
        "def test_next(): assert sys.modules['__main__'] is kept\n"
    )
    assert "2 passed" in run(tmp_path / "checkout", replaces, must_run=False).stdout
