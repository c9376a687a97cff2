"""What docs/alerts.md shows is true: its examples load, and its code verifies a signature."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Callable

import pytest

from farthing.alerts import webhook
from farthing.config import from_mapping
from tests.conftest import ROOT
from tests.farthing.alerts.takers import KEY

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
[PYTHON] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", TOML, ids=range(len(TOML)))
def test_an_example_is_a_configuration(example: str) -> None:
    assert from_mapping(tomllib.loads(example)).alerts.channels


@pytest.mark.parametrize(
    ("age_seconds", "key", "body", "expected"),
    [(0, KEY, b"{}", True), (0, KEY, b"{ }", False), (0, KEY + "x", b"{}", False), (400, KEY, b"{}", False)],
    ids=["genuine", "changed", "another key", "an old one again"],
)
def test_the_code_of_the_page_tells_whether_a_message_is_genuine(
    age_seconds: int, key: str, body: bytes, expected: bool
) -> None:
    written: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(PYTHON, written)
    timestamp = str(int(time.time()) - age_seconds)
    headers = {
        webhook.TIMESTAMP_HEADER: timestamp,
        webhook.SIGNATURE_HEADER: webhook.signature(KEY, timestamp, b"{}"),
    }
    assert written["is_from_farthing"](key, headers, body) is expected
