"""Takes the pictures of docs/images from the dashboard and the report of a fresh demo: `make screenshots`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
FARTHING = Path(sys.executable).with_name("farthing")
START_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until_up(url: str) -> None:
    """Return when the dashboard answers.

    Raises:
        TimeoutError: it did not within START_SECONDS.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError(f"no dashboard at {url} after {START_SECONDS} s")


#: The pictures by name, each with the address of its page.
PAGES = {
    "overview": "",
    **{
        name: name
        for name in ("customers", "models", "gpus", "agents", "forecast", "anomalies", "pricing", "what-if", "bills")
    },
}


def capture(url: str, report: Path) -> None:
    """Save the upper part of each page at `url`, when it has finished drawing, and of `report`, as PNGs 1280 wide."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        for name, path in PAGES.items():
            page.goto(f"{url}/{path}")
            page.get_by_test_id("stHeading").nth(1).wait_for(timeout=1000 * START_SECONDS)
            page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1500)  # charts fade in
            page.screenshot(path=IMAGES / f"{name}.png")
            print(IMAGES / f"{name}.png")
        page.goto(report.as_uri())
        page.screenshot(path=IMAGES / "report.png")
        print(IMAGES / "report.png")
        browser.close()


def main() -> None:
    """Run the demo in a temporary folder, serve it, and take the pictures."""
    port = free_port()
    settings = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([FARTHING, "demo", "--no-dashboard", "--project", folder], check=True)
        report = Path(folder) / "report.html"
        subprocess.run([FARTHING, "report", "monthly", "--project", folder, "--output", report], check=True)
        dashboard = subprocess.Popen([FARTHING, "dashboard", "--project", folder], env=os.environ | settings)
        try:
            wait_until_up(f"http://127.0.0.1:{port}")
            capture(f"http://127.0.0.1:{port}", report)
        finally:
            dashboard.terminate()
            dashboard.wait()


if __name__ == "__main__":
    main()
