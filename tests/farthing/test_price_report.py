"""`farthing doctor --prices` names models without a price, idle aliases, and what gateways and bills say otherwise."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.lake import Lake
from tests.farthing.build.world import LATER, World, at
from tests.farthing.commands import farthing

TOML = """\
[project]
name = "tiny"
[sources.bill]
kind = "focus"
path = "*.csv"
[attribution]
model_aliases = { gpt-5 = "gpt-4o", ours = "nobody-knows-it", helper = "openai/gpt-5" }
[[pools]]
name = "llm"
kind = "api"
"""


@pytest.mark.heavy
def test_the_doctor_of_prices_names_what_is_wrong_and_says_so_by_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "farthing.toml").write_text(TOML, encoding="utf-8")
    one = World()
    one.charge(100, at(), at(day=2), resource=None, ProviderName="OpenAI")
    usage: dict[str, Any] = {"provider": "openai", "replica": None, "input_tokens": 8_000_000}
    one.request(model="gpt-5", reported_cost=Decimal(5), **usage)
    one.request(model="gpt-4o", reported_cost=Decimal("20.1"), **usage)
    one.request(model="brand-new", **usage)
    one.charge(50, at(day=2), at(day=3), resource=None, ProviderName="OpenAI")
    one.request(at("10:00", 2), model="gpt-5", **usage)
    one.land(Lake(str(tmp_path / "lake")))
    with clock.fixed(LATER):
        built = farthing("build", "--project", tmp_path)
    assert "openai: billed 50.00 USD, 10.00 at its price (rate 5.000000)" in built.out + built.err
    said = farthing("doctor", "--prices", "--json", "--project", tmp_path)
    assert said.code == 1
    [unpriced] = said.value["unpriced"]
    assert (unpriced["model"], unpriced["input_tokens"], unpriced["cost"]) == (
        "brand-new",
        8_000_000,
        "70.000000000000",
    )
    assert {(row["alias"], row["problem"]) for row in said.value["aliases"]} == {
        ("gpt-5", "has a price of its own, as openai/gpt-5"),
        ("ours", "the name that it stands for has no price"),
    }
    [other] = said.value["disagreements"]
    assert (other["model"], other["cost"], other["reported_cost"]) == ("gpt-5", "10.000000000000", "5.000000000000")
    [bill] = said.value["trueup"]
    assert (bill["billed_cost"], bill["rate"]) == ("50.000000000000", "5.000000")
