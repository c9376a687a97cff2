"""`farthing report`: what it writes, where, and what it refuses in words."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.farthing.commands import farthing


@pytest.fixture
def company(tiny_project: Path, tmp_path: Path) -> Path:
    """A copy of the tiny company: the command writes into the project."""
    return Path(shutil.copytree(tiny_project, tmp_path / "company"))


def test_a_report_is_written_into_the_project_and_its_path_printed(company: Path) -> None:
    said = farthing("report", "monthly", "--project", company)
    [path] = said.out.split()
    assert said.code == 0
    assert Path(path).parent == company / "reports"
    assert path.endswith(".html")
    assert Path(path).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_markdown_goes_to_standard_output(company: Path) -> None:
    said = farthing("report", "monthly", "--format", "md", "--output", "-", "--project", company)
    assert said.code == 0
    assert said.out.startswith("# Cost report, ")
    assert not (company / "reports").exists()


def test_csv_is_a_folder_with_a_file_for_each_table(company: Path) -> None:
    said = farthing("report", "monthly", "--format", "csv", "--output", company / "out", "--json", "--project", company)
    written = {Path(row["file"]).name for row in said.value}
    assert {"headline.csv", "pools.csv", "reconciliation.csv"} <= written
    assert {path.name for path in (company / "out").iterdir()} == written


def test_one_table_goes_to_standard_output(company: Path) -> None:
    said = farthing("report", "monthly", "--format", "csv", "--table", "pools", "--output", "-", "--project", company)
    assert said.code == 0
    assert said.out.startswith("period,BillingCurrency,pool,")


def test_a_weekly_report_is_written_as_a_workbook(company: Path) -> None:
    said = farthing("report", "weekly", "--format", "xlsx", "--project", company)
    [path] = said.out.split()
    assert path.endswith("tiny-2026-W41.xlsx")
    assert Path(path).read_bytes().startswith(b"PK")


@pytest.mark.slow
def test_a_pdf_is_what_the_browser_prints(company: Path, chromium: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(chromium).parent))
    said = farthing("report", "monthly", "--format", "pdf", "--project", company)
    [path] = said.out.split()
    content = Path(path).read_bytes()
    assert content.startswith(b"%PDF")
    assert len(content) > 20_000, "pages, not an empty sheet"


def test_without_a_browser_a_pdf_is_refused_with_what_to_do(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(company))
    said = farthing("report", "monthly", "--format", "pdf", "--project", company)
    assert said.code == 2
    assert "choose --format html" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--month", "2019-01"], "no cost in 2019-01. Fix: choose a month that it has"),
        (["--month", "October"], "is no month"),
        (["--format", "csv", "--output", "-"], "takes one table"),
        (["--table", "pools"], "--table goes with"),
        (["--format", "csv", "--table", "nonsense"], "has no table 'nonsense'"),
        (["--json", "--output", "-"], "name a file"),
        (["--output", "/proc/nowhere/report.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_said_in_words(company: Path, arguments: list[str], words: str) -> None:
    said = farthing("report", "monthly", *arguments, "--project", company)
    assert said.code == 2
    assert words in " ".join(said.err.replace("│", " ").split())
    assert "Traceback" not in said.err


@pytest.mark.slow
def test_a_missing_extra_is_named_and_the_other_formats_need_none(company: Path) -> None:
    hide = "import sys; sys.modules |= dict.fromkeys(['altair', 'jinja2', 'vl_convert', 'streamlit', 'pandas']);"
    run = f"{hide} from farthing.cli import main; main()"
    command = [sys.executable, "-c", run, "report", "monthly", "--project", str(company)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "pip install 'farthing[report]'" in " ".join(refused.stderr.split())
    for form in ("md", "csv"):
        written = subprocess.run([*command, "--format", form], capture_output=True, text=True, check=False)
        assert (written.returncode, written.stderr) == (0, "")
