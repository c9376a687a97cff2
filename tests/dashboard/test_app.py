"""The dashboard where something is missing, and in a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError

import duckdb
import pytest
from playwright.sync_api import sync_playwright
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from farthing.warehouse import POINTER, open_warehouse
from tests.dashboard.conftest import APP, TOML
from tests.servers import free_port

Open = Callable[..., AppTest]


@pytest.mark.slow
def test_nothing_published_says_which_commands_to_run(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "farthing.toml").write_text(TOML)
    app = opened(tmp_path)
    assert not app.exception
    assert app.title[0].value == "Nothing is published yet"
    assert app.code[0].value == f"cd {tmp_path}\nfarthing collect\nfarthing build"


@pytest.mark.slow
def test_a_folder_that_is_no_project_says_so(tmp_path: Path, opened: Open) -> None:
    app = opened(tmp_path)
    assert not app.exception
    assert app.title[0].value == "This folder is no farthing project"
    assert "farthing init" in app.error[0].value


@pytest.mark.slow
def test_a_warehouse_of_another_version_says_how_to_make_it_anew(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "farthing.toml").write_text(TOML)
    folder = tmp_path / "warehouse"
    folder.mkdir()
    duckdb.connect(str(folder / "old.duckdb")).close()
    (folder / POINTER).write_text("old.duckdb\n")
    app = opened(tmp_path)
    assert not app.exception
    assert app.code[0].value == f"farthing build --project {tmp_path}"


@pytest.mark.slow
def test_readers_of_one_process_share_the_warehouse(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    config = configuration.load(project)
    with open_warehouse(config) as one, open_warehouse(config) as other:
        for con in (one, other):
            assert con.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]
            with pytest.raises(duckdb.Error, match="locked"):
                con.execute("set threads = 1")


@pytest.fixture
def address(project: Path, tmp_path: Path) -> Iterator[str]:
    """The dashboard of `project`, served by Streamlit with the settings that lie beside the app."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.headless=true", f"--server.port={port}"]
    environment = {**os.environ, "FARTHING_PROJECT": str(project), "PYTHONPATH": str(APP.parent.parent)}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
                break
            except (URLError, OSError):
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
        assert "External URL" not in (tmp_path / "log").read_text()
    finally:
        server.terminate()
        server.wait(timeout=20)


#: The pages by their link, each with a text that it shows of `company`.
PAGES = {
    "Overview": "By class",
    "Users and customers": "customers.csv",
    "Models": "models.csv",
    "GPUs": "nodes.csv",
    "Agents and tasks": "tasks.csv",
    "Forecast": "No forecast has been issued in USD",
    "Anomalies and budgets": "No anomaly is known",
    "Pricing": "Plans cannot be simulated in USD yet",
    "What-if": "cards.csv",
    "Bills and reconciliation": "invoices.csv",
}


@pytest.mark.slow
def test_a_browser_shows_every_page_and_asks_nobody_else(address: str, chromium: str) -> None:
    arguments = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    problems: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*arguments, "--disable-sync"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        # By link: of an address below the root Streamlit first asks where the root is, with a 404 each time.
        page.goto(address)
        page.get_by_role("link", name="Overview", exact=True).wait_for(timeout=30_000)
        # On a laptop's width every page is a link of its own, and none lies behind "more".
        assert [link.inner_text() for link in page.get_by_test_id("stTopNavLink").all()] == list(PAGES)
        for name, text in PAGES.items():
            page.get_by_role("link", name=name, exact=True).click()
            page.get_by_text(text).first.wait_for(timeout=30_000)
            page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=30_000)
            assert page.get_by_test_id("stException").count() == 0
        metric = page.get_by_test_id("stMetric").filter(has_text="Difference")
        metric.get_by_text("0.000000000000", exact=True).wait_for(timeout=30_000)
        page.get_by_role("link", name="Users and customers").click()
        page.locator("canvas, .vega-embed svg").nth(1).wait_for(state="attached", timeout=30_000)
        page.get_by_text("users.csv").wait_for()
        with page.expect_download() as download:
            page.get_by_text("users.csv").click()
        text = download.value.path().read_text(encoding="utf-8")
        browser.close()
    assert problems == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert text.startswith("user,team,customer,plan,cost,")
    assert "\n'=cmd|' /C calc'!A0," in text.replace("\r", "")
