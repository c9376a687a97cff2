"""`tiers`: what menus of plans would bring on real cost, what they promise, and whom they hit."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.cli.progress import Bar, Line
from farthing.console import Form
from farthing.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

    from farthing.tiers.document import Units
    from farthing.tiers.panel import Read
    from farthing.tiers.spec import Spec
    from farthing.tiers.study import Study

_NEEDED = ("altair", "jinja2", "vl_convert")


class Target(StrEnum):
    """Whose format plans are exported in."""

    NEUTRAL = "neutral"
    STRIPE = "stripe"
    OPENMETER = "openmeter"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("tiers", epilog="Example: `farthing tiers --panel users.parquet --spec tiers.toml --json`")(
        tiers_command
    )


def tiers_command(
    spec: Annotated[
        Path | None, typer.Option("--spec", metavar="FILE", help="The owner's choices and limits; see --example.")
    ] = None,
    panel: Annotated[
        Path | None,
        typer.Option(
            "--panel", metavar="FILE", help="A Parquet or CSV table of user, month and cost; by default the warehouse."
        ),
    ] = None,
    holdout: Annotated[
        int, typer.Option("--holdout", min=0, help="Fit without the last so many months, and compare them.")
    ] = 0,
    menu: Annotated[
        str | None, typer.Option("--menu", metavar="ID", help="The offer to show user by user and to export.")
    ] = None,
    export: Annotated[
        Target | None, typer.Option("--export", help="Write the plans of the offer as JSON of this format.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write report.html or chart.svg.")
    ] = None,
    accounts: Annotated[
        Path | None,
        typer.Option("--accounts", metavar="FILE", help="Also write every user's bills, as .csv or .parquet."),
    ] = None,
    level_paths: Annotated[
        Path | None,
        typer.Option(
            "--level-paths",
            metavar="FILE",
            help="Paths of a forecast: a column for each month, levels by the last month.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the spec's.")] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", help="By default the only one, or the project's.")
    ] = None,
    after_credits: Annotated[
        bool, typer.Option("--after-credits", help="Cost after promotional credits, which end.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a commented spec and end.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Menus of plans on real cost: fee, allowance, overage and fair-use cap, and margin against users hit.

    Shown first are fair-use caps on the plans of today. Every menu keeps the hard limits of the spec in every month
    seen; its margin is promised with an interval for the months to come. Exits with 1 if no menu keeps the limits.
    """
    form = common.form(as_json, as_csv)
    from farthing.tiers import document, exports
    from farthing.tiers import spec as specs
    from farthing.tiers import study as studies

    if example:
        sys.stdout.write(specs.EXAMPLE)
        return
    if out is not None:
        _writable(out)
    if accounts is not None and accounts.suffix.lower() not in {".csv", ".parquet"}:
        raise typer.BadParameter(f"--accounts writes .csv or .parquet, not '{accounts.suffix}'.")
    chosen = specs.load(spec) if spec is not None else specs.Spec()
    if seed is not None:
        chosen = chosen.model_copy(update={"run": chosen.run.model_copy(update={"seed": seed})})
    with Bar() as bar:
        line = Line(bar)
        line.begin("users, months and costs are read", 0)
        read, units, named = _read(panel, chosen, project, currency, before_credits=not after_credits)
        study = studies.study(
            chosen,
            read,
            holdout=holdout,
            level_paths=_paths(level_paths, holdout or chosen.run.horizon_months),
            detail=menu,
            progress=lambda what: line.begin(what, 0),
        )
        line.end()
    if out is not None:
        _write(out, study, units, named)
    if accounts is not None:
        _write_accounts(accounts, document.accounts(study))
    if export is not None:
        plans = exports.neutral(study, study.detail)
        turned: dict[Target, Any] = {Target.STRIPE: exports.stripe, Target.OPENMETER: exports.openmeter}
        written = turned[export](plans) if export in turned else plans
        for warning in written.get("warnings", []):
            console.say(warning, style="yellow", form=Form.JSON)
        _print(written)
    elif form is Form.JSON:
        _print(document.document(study, units))
    else:
        console.show(document.sheets(study, units), form, main="offers")
        for note in study.notes:
            console.say(f"Note: {note}.", style="dim", form=form)
    if not study.menus:
        _none_found(study)
        raise typer.Exit(1)


def _read(
    panel: Path | None, spec: Spec, project: Path | None, currency: str | None, *, before_credits: bool
) -> tuple[Read, Units, str]:
    """The panel, what units cost, and what it is a panel of."""
    if panel is not None:
        from farthing.tiers import panel as panels

        return panels.read_file(panel, spec, currency), {}, panel.name
    from farthing.tiers import company

    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        read, units = company.read(con, config, spec, currency, before_credits=before_credits)
    return read, units, config.project.name


def _paths(file: Path | None, horizon: int) -> Any:
    """Levels by path and month to come, as the mathematics has them.

    Raises:
        ConfigError: the file cannot be read, is too short, or has a level that is not above zero.
    """
    if file is None:
        return None
    import polars as pl

    try:
        frame = pl.read_csv(file) if file.suffix.lower() == ".csv" else pl.read_parquet(file)
        found = frame.select(pl.all().cast(pl.Float64)).to_numpy()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"cannot be read: {str(error).splitlines()[0]}.", file=file, fix="numbers only.") from None
    if found.shape[1] < horizon or not len(found) or not (found > 0).all():
        raise ConfigError(
            f"it has {found.shape[0]} path(s) of {found.shape[1]} month(s).",
            file=file,
            fix=f"give {horizon} columns, one for each month to come, with levels above zero.",
        )
    return found


def _writable(out: Path) -> None:
    if out.suffix.lower() not in {".html", ".svg"}:
        raise typer.BadParameter(f"--out writes .html or .svg, not '{out.suffix}'.")
    if any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError(
            "charts are not installed.",
            file="farthing[report]",
            fix="pip install 'farthing[report]', or leave --out out.",
        )


def _write(out: Path, study: Study, units: Units, named: str) -> None:
    from farthing.tiers import page

    if out.suffix.lower() == ".svg":
        text = page.svg(study)
    else:
        text = page.html(study, units, project=named, simulated="(simulated)" in named.lower())
    with _writing(out, "--out"):
        out.write_text(text, encoding="utf-8", newline="\n")


def _write_accounts(file: Path, frame: pl.DataFrame) -> None:
    with _writing(file, "--accounts"):
        if file.suffix.lower() == ".csv":
            with file.open("w", encoding="utf-8", newline="") as to:
                console.write_csv(frame.columns, frame.iter_rows(), to)
        else:
            frame.write_parquet(file)


@contextmanager
def _writing(file: Path, option: str) -> Iterator[None]:
    """The folder of a file is there, and what goes wrong is told as a mistake of `option`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=file, fix=f"name another place with {option}."
        ) from None
    console.say(f"written: {file}", form=Form.JSON)


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(console.plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _none_found(study: Study) -> None:
    """Say which limits stand in the way."""
    most = sorted(study.fallen.items(), key=lambda item: -item[1])
    told = ", ".join(f"{name}: {count:,}" for name, count in most)
    console.say(
        f"None of {study.tried:,} menus keeps every limit. How many pass each: {told or 'none has revenue'}."
        " Loosen [limits], or offer other price points, allowances or caps in [menu].",
        style="yellow",
        form=Form.JSON,
    )
