"""docs/whatif.md has a section for every kind of card, with its keys, and examples that load."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from farthing.whatif import scenario
from models.whatif.fleet import FleetLever, Terms
from models.whatif.inputs import Lever
from models.whatif.log import Which
from models.whatif.scenario import AnyLever, Scenario

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "whatif.md").read_text(encoding="utf-8")
CARDS: dict[str, Any] = {
    get_args(card.model_fields["kind"].annotation)[0]: card for card in get_args(get_args(AnyLever)[0])
}
COMMON = {*Lever.model_fields, "kind"}


def _keys(heading: str) -> dict[str, str]:
    """The keys of the table below a heading, with their defaults."""
    _, found, after = PAGE.partition(f"\n### `{heading}`\n")
    assert found, f"docs/whatif.md has no section {heading}"
    section = re.split(r"^##+ ", after, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("kind", CARDS)
def test_every_key_of_a_card_is_documented_and_no_other_is(kind: str) -> None:
    card = CARDS[kind]
    usual = COMMON | (set(FleetLever.model_fields) if issubclass(card, FleetLever) else set())
    fields = {name: field for name, field in card.model_fields.items() if name not in usual}
    written = _keys(kind)
    assert set(written) == set(fields)
    measured = {name for name, default in written.items() if default.startswith(("the ", "measured"))}
    required = {name for name, field in fields.items() if field.is_required()} - measured
    assert {name for name, default in written.items() if default == "required"} == required


def test_the_keys_of_fleets_of_requests_and_of_the_file_are_documented() -> None:
    assert set(_keys("[[fleets]]")) == set(Terms.model_fields)
    about = PAGE.partition("### Which requests\n")[2].partition("\n## ")[0]
    assert set(Which.model_fields) <= set(re.findall(r"`(\w+)`", about))
    table = PAGE.partition("## The file\n")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `\[*(\w+)\]*` ", table, re.MULTILINE)) == set(Scenario.model_fields)


@pytest.mark.parametrize("example", re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_every_example_of_the_page_is_a_scenario(example: str) -> None:
    assert scenario.parsed(tomllib.loads(example), Path("example")).cards


def test_the_example_has_every_kind_of_card() -> None:
    kinds = set(re.findall(r'^(?:# )?kind = "(\w+)"', scenario.example(), re.MULTILINE))
    assert kinds == set(CARDS)
