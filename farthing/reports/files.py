"""A report as files: each format that it can be written in, what that needs, and where it goes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from farthing.config import Config
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from farthing.reports.document import Report

_HTML_NEEDS = ("altair", "jinja2", "vl_convert")
_NEEDS = {"html": _HTML_NEEDS, "pdf": _HTML_NEEDS, "xlsx": ("xlsxwriter",)}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PRINTING_SECONDS = 120


class Kind(StrEnum):
    """What a report is on."""

    MONTHLY = "monthly"
    WEEKLY = "weekly"


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    XLSX = "xlsx"
    PDF = "pdf"
    MD = "md"
    CSV = "csv"


def require(format_: Format) -> None:
    """Say what is missing for `format_`, before any work.

    Raises:
        ConfigError: a package is not installed, or for PDF no browser is on the path.
    """
    if any(find_spec(name) is None for name in _NEEDS.get(format_, ())):
        raise ConfigError(
            f"reports as {format_.value} are not installed.",
            file="farthing[report]",
            fix="pip install 'farthing[report]', or choose --format md or csv.",
        )
    if format_ is Format.PDF:
        _browser()


def files(report: Report, format_: Format, table: str | None = None) -> dict[str, bytes]:
    """The content of each file; its name is empty where there is one alone. `table` is that of a CSV wanted alone.

    Raises:
        ConfigError: the report has no such table, or the browser that prints the PDF fails.
    """
    if format_ is Format.CSV:
        return _csv(report, table)
    if format_ is Format.XLSX:
        from farthing.reports.workbook import workbook

        return {"": workbook(report)}
    if format_ is Format.MD:
        from farthing.reports.markdown import markdown

        return {"": markdown(report).encode()}
    from farthing.reports.page import page

    text = page(report).encode()
    return {"": _printed(text) if format_ is Format.PDF else text}


def target(
    config: Config, report: Report, format_: Format, table: str | None = None, output: str | None = None
) -> Path:
    """Where the file goes, or the folder of CSV files: `output`, else below reports/ in the project."""
    if output is not None:
        return Path(output)
    name = re.sub(r"[^\w.]+", "-", config.project.name.lower()).strip("-.") or "report"
    stem = f"{name}-{report.period}" + (f"-{table}" if table else "")
    folder = config.root / "reports"
    return folder / stem if format_ is Format.CSV and table is None else folder / f"{stem}.{format_}"


def write(place: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write all `contents`, those with a name into the folder `place`.

    Raises:
        ConfigError: it cannot be written to.
    """
    paths = []
    try:
        for name, content in contents.items():
            path = place / name if name else place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(path)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=place, fix="name another place with --output."
        ) from None
    return paths


def _csv(report: Report, table: str | None) -> dict[str, bytes]:
    from farthing.reports import tables

    found = {name: text.encode() for name, text in tables.files(report)}
    if table is None:
        return found
    if f"{table}.csv" not in found:
        known = ", ".join(name.removesuffix(".csv") for name in found)
        raise ConfigError(
            f"the report of {report.period} has no table '{table}'.", file="--table", fix=f"one of {known}."
        )
    return {"": found[f"{table}.csv"]}


def _browser() -> str:
    found = next((path for path in map(shutil.which, _BROWSERS) if path), None)
    if found is None:
        raise ConfigError(
            "a PDF is printed by a browser, and none is on the path.",
            file="--format",
            fix=f"install one of {', '.join(_BROWSERS[:3])}, or choose --format html and print it.",
        )
    return found


def _printed(page: bytes) -> bytes:
    """The PDF that the browser prints of a page; it reaches nothing outside its folder."""
    with tempfile.TemporaryDirectory(prefix="farthing-print-") as folder:
        source, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_bytes(page)
        command = [
            *(_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile", "--no-pdf-header-footer"),
            *(f"--print-to-pdf={printed}", source.as_uri()),
        ]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_PRINTING_SECONDS, check=False)
            said = ended.stderr.strip().splitlines()[-1:]
        except subprocess.TimeoutExpired:
            said = [f"it was not done after {_PRINTING_SECONDS} s"]
        if not printed.is_file():
            raise ConfigError(
                f"the browser printed nothing: {' '.join(said) or 'it said nothing'}.",
                file=command[0],
                fix="choose --format html.",
            )
        return printed.read_bytes()
