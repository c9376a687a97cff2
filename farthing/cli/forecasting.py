"""`forecast`: what days to come will cost, of the project or of any daily series in a file."""

from __future__ import annotations

from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import console
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from models.forecast import Forecast

#: The columns of a forecast in a file, in their order; `ds` is empty in the row of the sum over the horizon.
COLUMNS = ("uid", "ds", "forecast", "q025", "q10", "q90", "q975")
_QUANTILES = (0.025, 0.1, 0.9, 0.975)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "forecast",
        epilog="Example: `farthing forecast --scope team=support --months 6`, or"
        " `farthing forecast --series spend.csv --as-of 2026-10-31 --horizon 30 --out forecast.parquet`",
    )(forecast_command)


def forecast_command(
    series: Annotated[
        Path | None,
        typer.Option("--series", metavar="FILE", help="CSV or Parquet with the columns uid, ds (a day) and y."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DATE", help="The last day to look at; by default the last one in the file."),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option("--horizon", min=1, max=366, help="Days to forecast; of a series 30, else as configured."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="ensemble, or one model: see docs/forecasting.md.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="With --series: of the sample paths.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to this .csv or .parquet instead of a table.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="Like team=support, or all of a dimension; by default total and teams."),
    ] = None,
    months: Annotated[
        int | None, typer.Option("--months", min=1, max=12, help="So many months, this one included.")
    ] = None,
    scoreboard: Annotated[
        bool, typer.Option("--scoreboard", help="How good issued forecasts were: error and coverage.")
    ] = False,
    drivers: Annotated[
        bool, typer.Option("--drivers", help="Users, requests, tokens and their cost, beside the direct forecast.")
    ] = False,
    waterfall: Annotated[
        tuple[str, str] | None,
        typer.Option("--waterfall", metavar="MONTH MONTH", help="What moved the cost from one month to another."),
    ] = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Show it only; nothing is issued.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Where this month and the next ones land, with an 80 % interval: cost to date and the forecast of the rest.

    It is issued once for the numbers of a day, and scored when days are over. Another --as-of, --horizon or --months is
    shown and not stored. With --series it forecasts the series of a file and needs no project: every day and the sum of
    all (the row without a day) with 80 % and 95 % intervals. What lies after --as-of is not looked at.
    """
    form = common.form(as_json, as_csv)
    if sum((series is not None, scoreboard, drivers, waterfall is not None)) > 1:
        raise typer.BadParameter("--series, --scoreboard, --drivers and --waterfall exclude each other.")
    if series is not None:
        series_mode(series, common.day(as_of), horizon or 30, model=model or "ensemble", seed=seed, out=out, form=form)
        return
    if out is not None or seed:
        raise typer.BadParameter("--out and --seed go with --series; a project has its seed in farthing.toml.")
    if months is not None and horizon is not None:
        raise typer.BadParameter("--months and --horizon exclude each other.")
    from farthing.cli import forecasting_project as of_project

    wanted = of_project.Wanted(scope or [], common.day(as_of), horizon, months, model, not no_store)
    if scoreboard:
        of_project.scoreboard_mode(project, wanted.scopes, form)
    elif waterfall is not None:
        of_project.waterfall_mode(project, waterfall, wanted.scopes, form)
    elif drivers:
        of_project.drivers_mode(project, wanted, form)
    else:
        of_project.landings_mode(project, wanted, form)


def series_mode(
    series: Path, as_of: date | None, horizon: int, *, model: str, seed: int, out: Path | None, form: Form
) -> None:
    """Forecast the series of a file; needs no project.

    Raises:
        ConfigError: the file, the model, or where to write is wrong, or no series has a value at `as_of`.
        DataError: a row of the file is wrong.
    """
    if out is not None and out.suffix not in {".csv", ".parquet"}:
        raise ConfigError("is neither .csv nor .parquet.", file=out, key="--out", fix="name it forecast.parquet.")
    if find_spec("scipy") is None:
        raise ConfigError(
            "forecasts are not installed.", file="farthing[forecast]", fix="pip install 'farthing[forecast]'."
        )
    import numpy as np

    from farthing.cli.progress import Bar, Line
    from models.forecast import forecast
    from models.series import read_series

    panel = read_series(series)
    if as_of is not None:
        first, every = panel.days[0].item(), panel.uids
        panel = panel.until(np.datetime64(as_of, "D"))
        if not panel.uids:
            raise ConfigError(f"no series begins before {as_of}.", file=series, fix=f"a day from {first} on.")
        for uid in sorted(set(every) - set(panel.uids)):
            console.say(f"{uid}: no value up to {as_of}: left out", style="dim", form=Form.JSON)
    with Bar() as bar:
        line = Line(bar)
        made = forecast(
            panel,
            horizon,
            model=model,
            seed=seed,
            begin=lambda what, fits: line.begin(f"{what} of {len(panel.uids):,} series", fits),
            advance=line.advance,
        )
        line.end()
    for uid, note in zip(made.uids, made.notes, strict=True):
        if note:
            console.say(f"{uid}: {note}", style="dim", form=Form.JSON)
    rows = list(_rows(made))
    if out is not None:
        _write(out, rows)
        console.say(f"{len(made.uids):,} series, {horizon} days and their sum: {out}", form=form)
        return
    console.show(Sheet("forecast", COLUMNS, rows, note="The row without a day is the sum over the horizon."), form)


def _rows(made: Forecast) -> list[tuple[object, ...]]:
    """Rows in the order of `COLUMNS`; a series without a forecast has rows without numbers, as it was asked for."""
    import numpy as np

    days = [day.item() for day in made.days]
    daily = np.stack([made.point, *(made.quantile(q) for q in _QUANTILES)], axis=2)
    summed = np.stack([made.point.sum(axis=1), *(made.sum_quantile(q) for q in _QUANTILES)], axis=1)
    rows: list[tuple[object, ...]] = []
    for uid, by_day, of_all in zip(made.uids, daily.tolist(), summed.tolist(), strict=True):
        rows += [(uid, day, *map(_known, values)) for day, values in zip(days, by_day, strict=True)]
        rows.append((uid, None, *map(_known, of_all)))
    return rows


def _known(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124  nan says that there is no forecast: a file says null


def _write(out: Path, rows: list[tuple[object, ...]]) -> None:
    """Write `rows` as CSV or Parquet.

    Raises:
        ConfigError: it cannot be written to.
    """
    import polars as pl

    schema = {"uid": pl.String, "ds": pl.Date} | dict.fromkeys(COLUMNS[2:], pl.Float64)
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            frame.write_csv(out)
        else:
            frame.write_parquet(out)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=out, fix="name another place with --out."
        ) from None
