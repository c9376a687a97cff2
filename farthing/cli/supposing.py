"""`whatif`: what a change of models, caches, prompts or machines would save, on the requests and hours of a month."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.cli.progress import Bar, Line
from farthing.config import Config
from farthing.console import Form
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from farthing.whatif.month import Month
    from models.whatif.scenario import Scenario
    from models.whatif.simulate import Result

_NEEDED = ("altair", "jinja2", "vl_convert")
_RUN = "run"

ScenarioArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The scenario: a TOML file with cards.")]
MonthOption = Annotated[str | None, typer.Option("--month", help="Like 2026-10; by default the last one that is over.")]


class _RunByDefault(TyperGroup):
    """`farthing whatif FILE` is `farthing whatif run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    whatif = typer.Typer(
        help="What a change would save, on the requests and hours of a month; FILE alone means `run FILE`.",
        cls=_RunByDefault,
        no_args_is_help=True,
    )
    whatif.callback()(lambda: None)
    whatif.command(_RUN, epilog="Example: `farthing whatif run scenario.toml --month 2026-10 --out whatif.html`")(run)
    whatif.command("check", epilog="Example: `farthing whatif check scenario.toml --claim claim.json`")(check)
    app.add_typer(whatif, name="whatif", epilog="Example: `farthing whatif scenario.toml --month 2026-10`")


def run(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The scenario: a TOML file with cards.", show_default=False)
    ] = None,
    month: MonthOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a page with a chart too: one HTML file.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a scenario with a card of each kind.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Work out each card of a scenario on every request and GPU hour of a month: alone, and all together.

    Savings are amounts a month, each with a range. --json is what `farthing whatif check` holds a later month against.
    """
    if example:
        from farthing.whatif import scenario as scenario_file

        sys.stdout.write(scenario_file.example())
        return
    if file is None:
        raise typer.BadParameter("name a scenario: FILE, or --example to see one.")
    form = common.form(as_json, as_csv)
    first = common.month(month) if month is not None else None
    config = common.open_project(project)
    if out is not None and any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError(
            "pages in HTML are not installed.", file="farthing[report]", fix="pip install 'farthing[report]'."
        )
    from farthing.whatif import facts, shown
    from farthing.whatif import month as months
    from farthing.whatif import scenario as scenario_file
    from models.whatif.simulate import simulate

    scenario = scenario_file.read(file)
    with Bar() as bar:
        line = Line(bar)
        line.begin("reading the month", 0)
        with warehouse.open_warehouse(config) as con:
            found = months.of(con, config, first)
            gathered = facts.gather(con, config, scenario, file, found)
        line.begin(f"working out {len(scenario.cards)} cards on {len(found.log):,} requests", len(scenario.cards) + 1)
        result = simulate(scenario, gathered, line.advance)
        line.end()
    if out is not None:
        _write(out, config, scenario, result, found)
    if form is Form.JSON:
        value = console.plain(shown.value(scenario, result, found))
        sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        console.show(shown.sheets(result, found), form, main="cards")


def _write(out: Path, config: Config, scenario: Scenario, result: Result, month: Month) -> None:
    from farthing.reports.page import page
    from farthing.whatif.page import report

    text = page(report(config, scenario, result, month))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=out, fix="name another place with --out."
        ) from None
    console.errors().print(f"written: {out}", soft_wrap=True, markup=False)


def check(
    file: ScenarioArgument,
    claim: Annotated[
        Path,
        typer.Option("--claim", metavar="FILE", help="What `farthing whatif FILE --json` wrote before the change."),
    ],
    month: MonthOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Hold a month after the change against what was claimed: before and after at the same volume, or a holdout.

    The exit code is 1 when a card saved less than it claimed.
    """
    form = common.form(as_json, as_csv)
    first = common.month(month) if month is not None else None
    config = common.open_project(project)
    from farthing.whatif import check as checking
    from farthing.whatif import month as months
    from farthing.whatif import scenario as scenario_file

    scenario = scenario_file.read(file)
    claimed = checking.read_claim(claim)
    keys = {card.holdout.partition("=")[0] for card in scenario.cards if card.holdout is not None}
    with warehouse.open_warehouse(config) as con:
        found = months.of(con, config, first)
        tags = {key: months.tag(con, found, key) for key in sorted(keys)}
    sheet = checking.check(scenario, claimed, found, tags)
    console.show(sheet, form)
    if any(row[1] == "less than claimed" for row in sheet.rows):
        raise typer.Exit(1)
