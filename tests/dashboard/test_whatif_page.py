"""The page of what-if cards shows what the library works out on the same warehouse, for the cards as they are set."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from farthing import config as configuration
from farthing import figures
from farthing.warehouse import open_warehouse
from farthing.whatif import facts, shown
from farthing.whatif import month as months
from farthing.whatif import scenario as scenario_file
from farthing.whatif.month import Month
from farthing.whatif.suited import NO_GPUS, NO_REQUESTS, Suited, suited
from models.whatif.card import spread
from models.whatif.inputs import Lever
from models.whatif.scenario import Scenario
from models.whatif.simulate import Result, simulate
from tests.dashboard import conftest as company
from tests.dashboard.test_pages import known, metrics, table
from tests.farthing.build.world import World, at

pytestmark = pytest.mark.slow  # a project is built and asked for each

Open = Callable[..., AppTest]
_HERE = Path("test")
SPOT, ROUTING, SUPPLY = "spot", "easy ones to haiku", "H100s for the launch"


@pytest.fixture
def month(project: Path, warehouse: duckdb.DuckDBPyConnection) -> Month:
    return months.of(warehouse, configuration.load(project), date(2026, 10, 1), "USD")


def example() -> Scenario:
    return scenario_file.parsed(tomllib.loads(scenario_file.example()), _HERE)


@pytest.fixture
def offered(month: Month) -> Suited:
    return suited(example(), month)


@pytest.fixture
def worked_out(
    project: Path, warehouse: duckdb.DuckDBPyConnection, month: Month, offered: Suited
) -> Callable[..., Result]:
    """What the library says of some cards, each as it is offered or as it is given."""

    def work_out(*cards: str | Lever) -> Result:
        by_name = {card.name: card for card in offered.cards}
        levers = tuple(by_name[card] if isinstance(card, str) else card for card in cards)
        scenario = example().model_copy(update={"fleets": offered.fleets, "cards": levers})
        return simulate(scenario, facts.gather(warehouse, configuration.load(project), scenario, _HERE, month))

    return work_out


def rows_of(result: Result) -> list[tuple[Any, ...]]:
    found = []
    for card in result.cards:
        saving = None if card.saving is None else spread(card.saving)
        amounts = [None] * 3 if saving is None else [shown.amount(one) for one in (saving.q05, saving.q50, saving.q95)]
        found.append((card.name, *amounts, shown.amount(card.baseline)))
    return found


def rows_on(app: AppTest) -> list[tuple[Any, ...]]:
    names = ("saving q05", "saving", "saving q95", "matched cost")
    [cards] = [one.value for one in app.dataframe if list(one.value.columns[:2]) == ["card", "kind"]]
    return [(row["card"], *(known(row[name]) for name in names)) for row in cards.to_dict("records")]


def test_cards_and_their_sum_are_those_of_the_library(
    project: Path, opened: Open, worked_out: Callable[..., Result]
) -> None:
    app = opened(project, "whatif")
    result = worked_out(*app.multiselect(key="cards").value)
    assert rows_on(app) == rows_of(result)
    joint, added = spread(result.together.joint), spread(result.together.added)
    found = metrics(app)
    assert found["Added up, USD"] == figures.money(shown.amount(added.q50))
    assert found["Model APIs and GPUs, USD"] == figures.money(shown.amount(result.together.baseline))
    said = f"{figures.money(shown.amount(abs(joint.q50)))} USD a month"
    assert said in app.subheader[0].value
    assert any(row[2] for row in rows_of(result)), "else nothing was compared"


def test_a_number_that_is_changed_counts_and_is_assumed(
    project: Path, opened: Open, offered: Suited, worked_out: Callable[..., Result]
) -> None:
    app = opened(project, "whatif")
    app.multiselect(key="cards").set_value([SPOT]).run()
    app.number_input(key="spot.discount").set_value(0.8).run()
    [lever] = [card for card in offered.cards if card.name == SPOT]
    changed = {"value": 0.8, "basis": "assumed", "why": "set on this page"}
    values = lever.model_dump(exclude_unset=True) | {"discount": changed}
    result = worked_out(type(lever).model_validate(values))
    assert rows_on(app) == rows_of(result) != rows_of(worked_out(SPOT))
    assert any(":orange-badge[assumed] discount 0.8: set on this page" in one.value for one in app.markdown)


def test_a_number_that_makes_no_sense_leaves_its_card_out_in_words(project: Path, opened: Open) -> None:
    app = opened(project, "whatif")
    app.number_input(key="spot.discount").set_value(1.5).run()
    assert not app.exception
    assert "discount" in app.warning[0].value
    assert SPOT not in [row[0] for row in rows_on(app)]


def test_each_input_says_whether_it_was_measured_or_assumed(project: Path, opened: Open) -> None:
    app = opened(project, "whatif")
    app.multiselect(key="cards").set_value([SUPPLY]).run()
    text = "\n".join(one.value for one in app.markdown)
    assert ":green-badge[measured] unit hour 1 cloud A 2.9: offer" in text
    assert ":orange-badge[assumed] unit hour 3 racks" in text


def test_what_no_provider_has_is_shown_as_unmet(project: Path, opened: Open, worked_out: Callable[..., Result]) -> None:
    app = opened(project, "whatif")
    app.multiselect(key="cards").set_value([SUPPLY]).run()
    [card] = worked_out(SUPPLY).cards
    unmet: list[Any] = [row.values["q50"] for row in card.rows if row.values["what"] == "unmet"]
    assert [row["q50"] for row in table(app, "from") if row["what"] == "unmet"] == unmet
    assert max(unmet) > 0
    assert metrics(app)["Unmet at worst, H100"] == f"{spread(card.figures['most_unmet'].values).q50:,.4g}"
    app.number_input(key=f"{SUPPLY}.0").set_value(0.0).run()
    assert not app.exception
    assert "cloud A" not in {row["what"] for row in table(app, "from")}


def test_the_cards_suit_the_pools_and_models_of_the_month(offered: Suited, month: Month) -> None:
    by_name = {card.name: card for card in offered.cards}
    assert by_name["right size"].pool == "gpu"  # type: ignore[attr-defined]
    assert [terms.pool for terms in offered.fleets] == ["gpu"]
    models = month.log.names["model"]
    [model] = by_name[ROUTING].which.models  # type: ignore[attr-defined]
    cost = {
        name: month.log.cost[(models.codes == code) & ~month.log.own].sum() for code, name in enumerate(models.names)
    }
    assert model == max(cost, key=lambda name: cost[name])
    assert by_name["distilled tasks"].which.features == ()  # type: ignore[attr-defined]
    assert not offered.left_out


def test_names_that_the_month_has_stay(month: Month) -> None:
    values = tomllib.loads(scenario_file.example())
    [routing] = [card for card in values["cards"] if card["name"] == ROUTING]
    routing["which"] = {"models": ["MODEL-2*"]}
    scenario = scenario_file.parsed({**values, "cards": [routing]}, _HERE)
    assert list(suited(scenario, month).cards) == list(scenario.cards)


def test_the_last_month_that_is_over_comes_first(
    project: Path, opened: Open, warehouse: duckdb.DuckDBPyConnection
) -> None:
    chosen = opened(project, "whatif").selectbox(key="what-if-month")
    assert chosen.options == ["2026-10", "2026-11"]
    assert chosen.value == f"{months.of(warehouse, configuration.load(project), None).first:%Y-%m}" == "2026-10"


def test_another_currency_is_worked_out_in_that_currency(project: Path, opened: Open) -> None:
    app = opened(project, "whatif")
    app.selectbox(key="currency").set_value("EUR").run()
    assert not app.exception
    assert any("was billed in USD is in no card" in caption.value for caption in app.caption)


def test_without_requests_the_page_says_what_to_add(tmp_path: Path, opened: Open) -> None:
    world = World(*company.POOLS)
    world.gpu()
    for day in company.DAYS:
        world.charge("4.2", at("12:00", day), month=at("12:00", day).date().replace(day=1))
        world.usage(at("12:00", day), at("13:00", day), 0.25, every=600)
    company.publish(world, tmp_path / "machines")
    app = opened(tmp_path / "machines", "whatif")
    assert not app.exception
    assert 'kind = "requests"' in app.code[0].value
    assert "right size" in app.multiselect(key="cards").options
    assert ROUTING not in app.multiselect(key="cards").options


def test_cards_that_a_month_cannot_be_asked_for_say_why(tmp_path: Path) -> None:
    world = World(*company.POOLS)
    world.charge("5", at("12:00"), resource=None, ProviderName="Tools")
    company.publish(world, tmp_path / "bill")
    config = configuration.load(tmp_path / "bill")
    with open_warehouse(config) as con:
        found = suited(example(), months.of(con, config, date(2026, 10, 1), "USD"))
    assert [card.name for card in found.cards] == [SUPPLY]
    assert found.left_out[ROUTING] == NO_REQUESTS
    assert found.left_out["right size"] == NO_GPUS
    assert found.fleets == ()


def test_no_card_on_the_table_is_said(project: Path, opened: Open, tmp_path: Path) -> None:
    app = opened(Path(shutil.copytree(project, tmp_path / "copy")), "whatif")
    app.multiselect(key="cards").set_value([]).run()
    assert not app.exception
    assert app.info[0].value == "No card is on the table."
