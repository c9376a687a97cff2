"""`anomalies`: what stands out, why, and what people say about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="What stands out in the spend, why, and what was said about it.", invoke_without_command=True
    )
    group.callback()(anomalies_command)
    app.add_typer(
        group,
        name="anomalies",
        epilog="Example: `farthing anomalies --open`; of any series:"
        " `farthing anomalies --series spend.csv --out anomalies.parquet`",
    )


def anomalies_command(
    series: Annotated[
        Path | None,
        typer.Option("--series", metavar="FILE", help="Judge this CSV or Parquet with uid, ds (a day), y instead."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="--series: write to this .csv or .parquet.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=1.6, help="--series: standard deviations from which on a day stands out."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Episodes of spend above what the days before let expect, and of broken rules, those that cost most first."""
    form = common.form(as_json, as_csv)
    if series is not None:
        from farthing.cli.anomaly_series import series_mode

        series_mode(series, threshold, out, form)
        return
